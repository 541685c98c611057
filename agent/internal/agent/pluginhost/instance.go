package pluginhost

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/validator"
)

// reapTime is how long to wait for a killed process. The kernel takes microseconds, unless
// the process is in the middle of an operation that cannot be interrupted.
const reapTime = 300 * time.Millisecond

// An instance is one process that judges steps, from its start to its end.
type instance struct {
	process *process
	path    string // of its program, for people
	dir     string // of its socket
	conn    *grpc.ClientConn
	meter   *meter // of what comes over conn
	link    *link
	started time.Time
	ready   time.Time

	sum       *sum   // of its program; nil where sealedSum says it, or nothing
	sealedSum string // of the sealed copy that it executes

	name, version string // of the plugin
	first         []judge.Expectation
	reads         validator.Inputs // of all its validators together
	declared      bool             // each of them has said what it reads
	file          identity         // of its program; zero where that is not known
}

// saysAs reports whether the process gives the verdicts that another one gave: it executes the
// same bytes with the same settings, and says the same of itself.
func (in *instance) saysAs(other *instance) bool {
	known := in.sealedSum != "" || in.file != identity{}
	return known && in.sealedSum == other.sealedSum && in.file == other.file &&
		in.name == other.name && in.version == other.version && slices.Equal(in.first, other.first) &&
		in.reads == other.reads && in.declared == other.declared
}

// stop ends the process and removes what is left of it. It may have grace to end by itself.
func (in *instance) stop(grace time.Duration) {
	if in.link != nil {
		in.link.lose(errStopped)
	}
	if grace > 0 {
		in.shutDown(grace)
	}
	in.process.kill()
	if in.process.pid() != 0 {
		select {
		case <-in.process.drained:
		case <-time.After(reapTime):
		}
	}
	if in.conn != nil {
		_ = in.conn.Close() // an error means closed already
	}
	if in.link != nil {
		in.link.running.Wait()
	}
	if in.sum != nil {
		in.sum.stop()
	}
	if in.dir != "" {
		_ = removeTree(in.dir, removeTime) // what stays, Host.Close or the next agent removes
	}
}

// sumTime bounds how long somebody who asks for the status waits for a checksum.
const sumTime = time.Second

// checksum returns that of the program; empty where it is not known.
func (in *instance) checksum() string {
	if in.sum == nil {
		return in.sealedSum
	}
	select {
	case <-in.sum.done:
		return in.sum.text
	case <-time.After(sumTime):
		return ""
	}
}

// shutDown asks the process to end and waits until it has, for so long at most.
func (in *instance) shutDown(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := in.conn.Invoke(ctx, shutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	if status.Code(err) == codes.Unimplemented {
		return
	}
	// Any other error may as well be the end of the process.
	select {
	case <-in.process.exited:
	case <-ctx.Done():
	}
}

// whyLost says what became of the process of a link that is lost, or whose process has ended.
func (in *instance) whyLost() error {
	select {
	case <-in.link.lost:
		if !in.link.streamEnded() {
			return in.link.loss()
		}
	case <-in.process.exited:
	}
	// The stream mostly ends because the process does, a moment earlier.
	if how := in.ending(); how != "" {
		return fmt.Errorf("the plugin process ended: %s", how)
	}
	return in.link.loss()
}

// ending says how the process ended, when it has or is about to.
func (in *instance) ending() string {
	select {
	case <-in.process.exited:
	case <-time.After(drainTime):
	}
	return in.process.ending()
}
