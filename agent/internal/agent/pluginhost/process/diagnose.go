package process

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/program"
)

// Diagnose says in one line why a process did not become a plugin, and what to do. err is the error
// of the start or of the first calls; it is used where nothing more specific is known.
func (p *Process) Diagnose(ctx context.Context, err error) error {
	path := p.config.Path
	switch {
	case errors.Is(err, errKilled):
		return fmt.Errorf("%s was not ready in time: %w", path, context.Cause(ctx))
	case errors.Is(err, unix.EMFILE):
		return fmt.Errorf("%s could not be started: the agent has as many files and connections open as it may; "+
			"raise its limit (LimitNOFILE= of the service, or ulimit -n)", path)
	case p.socketDir() == "":
		return fmt.Errorf("no directory for the plugin's socket: %w", err)
	case p.PID() == 0:
		return program.ExplainExec(path, p.cmd.Path, err)
	}
	if line := p.stdout.text(); line != "" {
		if err := checkHandshake(path, line); err != nil {
			return err
		}
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < drainTime {
		<-ctx.Done() // the plugin's clock may have run out a moment before the agent's
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s was not ready in time: %w%s", path, context.Cause(ctx), p.lastLine())
	}
	if ending := p.Ending(); ending != "" {
		<-p.drained // its last line is read
		return fmt.Errorf("%s ended before it was ready (%s)%s; is it a stepagent plugin?", path, ending, p.lastLine())
	}
	return fmt.Errorf("%s: %w%s", path, err, p.lastLine())
}

// lastLine quotes what the plugin printed to stderr at its end, for the end of an error.
func (p *Process) lastLine() string {
	if line := p.stderr.lastLine(); line != "" {
		return "; it said: " + line
	}
	return ""
}
