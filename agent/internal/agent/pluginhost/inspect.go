package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
)

// shutdownLimit is how long a plugin that is asked to end may take in an inspection.
const shutdownLimit = time.Second

// An About is what a plugin says of itself.
type About struct {
	stream.About
	// Ready is how long it took from the execution of the file to this answer.
	Ready time.Duration
}

// An Offer is one validator of a plugin.
type Offer = stream.Offer

// A Check is one property of a plugin that only its wire shows.
type Check struct {
	// Name says in a few words what was checked.
	Name string
	// Err says what is wrong and what to do; nil for nothing.
	Err error
}

// Describe starts a plugin once, asks it what it is and ends it. Errors are *SpecError.
// Spec.Validator and Spec.Settings are not used.
func (h *Host) Describe(ctx context.Context, spec Spec) (about About, err error) {
	err = h.runOnce(ctx, spec, func(ctx context.Context, in *instance, _ []member) (err error) {
		about.About, err = in.conn.Describe(ctx)
		about.Ready = time.Since(in.process.Started())
		if err == nil && len(about.Validators) == 0 {
			err = errors.New("Describe: the plugin has no validators")
		}
		return err
	})
	return about, err
}

// Inspect starts a plugin once, with one validator, and checks what authors in other languages have to
// write themselves: how it takes messages and how it ends. It calls report for each Check in turn. The
// error, a *SpecError, says why nothing could be checked.
func (h *Host) Inspect(ctx context.Context, spec Spec, report func(Check)) error {
	return h.runOnce(ctx, spec, func(ctx context.Context, in *instance, members []member) error {
		if err := in.configure(ctx, members); err != nil {
			return err
		}
		report(Check{"it serves the health service", in.conn.CheckHealth(ctx)})
		report(Check{"it answers a batch of steps, each once", in.conn.CheckBatch(ctx)})
		report(Check{fmt.Sprintf("it ends within %v of Shutdown", shutdownLimit), in.checkShutdown()})
		return nil
	})
}

// runOnce runs the plugin of a spec for as long as use takes.
func (h *Host) runOnce(ctx context.Context, spec Spec, use func(context.Context, *instance, []member) error) error {
	if err := checkSpecs([]Spec{spec}); err != nil {
		return err
	}
	p, err := openPlugin(h.options, []member{{Spec: spec}})
	if err != nil {
		return err
	}
	defer p.program.Close()
	in := h.newInstance(p)
	defer func() { in.stop(h.options.StopTimeout) }()
	return h.starting(ctx, p, in, func(ctx context.Context) error { return use(ctx, in, p.members) })
}

// checkShutdown asks the process to end and checks that it does, in time and with exit status 0.
func (in *instance) checkShutdown() error {
	if err := in.shutDown(shutdownLimit); err != nil {
		return err
	}
	if ending := in.process.Ending(); ending != "exit status 0" {
		return fmt.Errorf("it ended with %s where it must end with exit status 0", ending)
	}
	return nil
}
