package pluginhost

import (
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// maxClose bounds Set.Close.
const maxClose = time.Second

// A Set is the validators of one config, running. It is safe for concurrent use.
type Set struct {
	supervisors []*supervisor
}

// Groups returns the groups in the config's order.
func (s *Set) Groups() []judge.Group {
	groups := make([]judge.Group, len(s.supervisors))
	for i, v := range s.supervisors {
		groups[i] = v.cache
	}
	return groups
}

// Close ends every process, first by asking, then by SIGKILL to its process group, and
// returns when nothing is left of them, when the context ends, or after one second: a
// process that the kernel cannot end at once is then left to it. Steps that are still being
// judged get an error. Closing again waits in the same way and does nothing else.
func (s *Set) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxClose)
	defer cancel()
	for _, v := range s.supervisors {
		v.cancel()
	}
	for _, v := range s.supervisors {
		select {
		case <-v.done:
		case <-ctx.Done():
			return
		}
	}
}
