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
		_ = in.shutDown(grace) // it is killed in any case
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

// shutDown asks the process to end and waits until it has. It returns an error when the process still
// runs after that time, or cannot be asked.
func (in *instance) shutDown(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if err := in.conn.Shutdown(ctx); err != nil {
		return err
	}
	select {
	case <-in.process.Exited():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("it still ran %v after it had been told to end", within)
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
