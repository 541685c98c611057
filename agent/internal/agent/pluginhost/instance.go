package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/process"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/program"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/validator"
)

// An instance is one process that judges steps, from its start to its end.
type instance struct {
	process *process.Process
	image   *program.Image // what it executes
	conn    *stream.Conn   // nil before the process has a socket
	stream  *stream.Stream // nil before its validators are configured
	ready   time.Time

	name, version string // of the plugin
	first         []judge.Expectation
	reads         validator.Inputs // of all its validators together
	declared      bool             // each of them has declared what it reads
}

// key is how the verdicts of the process are cached; nil when they cannot be.
func (in *instance) key() verdictcache.Key {
	if !in.declared {
		return nil
	}
	return stream.Key(in.reads)
}

// sameVerdicts reports whether the process gives the verdicts of another one: it executes the same
// bytes with the same settings, and says the same of itself.
func (in *instance) sameVerdicts(other *instance) bool {
	return in.image.Same(other.image) &&
		in.name == other.name && in.version == other.version && slices.Equal(in.first, other.first) &&
		in.reads == other.reads && in.declared == other.declared
}

// stop ends the process and removes what is left of it. With grace the process is first asked to end.
func (in *instance) stop(grace time.Duration) {
	if in.stream != nil {
		in.stream.Lose(stream.ErrStopped)
	}
	if grace > 0 && in.conn != nil {
		in.shutDown(grace)
	}
	in.process.Close()
	if in.conn != nil {
		in.conn.Close()
	}
	if in.stream != nil {
		in.stream.Wait()
	}
	in.image.Close()
}

// shutDown asks the process to end and waits until it has, at most for grace.
func (in *instance) shutDown(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if in.conn.Shutdown(ctx) != nil {
		return
	}
	select {
	case <-in.process.Exited():
	case <-ctx.Done():
	}
}

// whyLost says why the stream of the process is lost, or how the process ended.
func (in *instance) whyLost() error {
	select {
	case <-in.stream.Lost():
		if err := in.stream.Err(); !errors.Is(err, stream.ErrEnded) {
			return err
		}
	case <-in.process.Exited():
	}
	// The stream mostly ends because the process does, a moment earlier.
	if ending := in.process.Ending(); ending != "" {
		return fmt.Errorf("the plugin process ended: %s", ending)
	}
	return in.stream.Err()
}
