// Package conformance checks a plugin of any language from outside: that it starts, keeps the contract
// on the wire and ends when it is asked to, and that its validators keep the laws of package validator.
package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// A Subject is the plugin to check.
type Subject struct {
	// Path is the absolute path of the program, Args are its arguments.
	Path string
	Args []string
	// Validator is the one to check; empty for all that the plugin has.
	Validator string
	// Settings is one JSON object for the validator, or empty.
	Settings []byte
	// StepIDs and Data are used in the questions beside the kit's own.
	StepIDs []int64
	Data    [][]byte
	// Sessions is the number of sessions that the kit generates; 0 for its default.
	Sessions int
}

// A State is the outcome of one check.
type State string

// The states.
const (
	OK         State = "ok"
	Failed     State = "FAILED"
	NotChecked State = "not checked"
)

// A Line is the result of one check.
type Line struct {
	State State
	// Check says what was checked.
	Check string
	// Detail says what is wrong and what to do, why nothing was checked, or what was found; of
	// several lines where it shows a question.
	Detail string
}

// A Listener gets the results as they come.
type Listener interface {
	Line(Line)
	// Progress reports how much of a long check is done. It is called by one goroutine at a time.
	Progress(check string, done, of int)
}

// Run checks a plugin with processes of the host, and reports whether every check passed.
func Run(ctx context.Context, host *pluginhost.Host, subject Subject, to Listener) (sound bool) {
	r := &run{host: host, subject: subject, to: to, sound: true}
	about, err := host.Describe(ctx, r.spec(""))
	if err != nil {
		r.line("it starts and describes itself", "", err)
		return false
	}
	r.line("it starts and describes itself", fmt.Sprintf("%s %s, after %v", about.Name, about.Version,
		about.Ready.Round(time.Millisecond)), nil)
	var names []string
	for _, v := range about.Validators {
		names = append(names, v.Name)
		if subject.Validator == "" || subject.Validator == v.Name {
			r.validator(ctx, v)
		}
	}
	if subject.Validator != "" && !slices.Contains(names, subject.Validator) {
		r.line("it has the validator "+subject.Validator, "", fmt.Errorf("it has %s", strings.Join(names, ", ")))
	}
	return r.sound
}

type run struct {
	host    *pluginhost.Host
	subject Subject
	to      Listener
	sound   bool
}

func (r *run) spec(name string) pluginhost.Spec {
	return pluginhost.Spec{Name: cmp.Or(name, "checked"), Validator: name, Path: r.subject.Path, Args: r.subject.Args, Settings: r.subject.Settings, SendAll: true}
}

func (r *run) line(check, found string, err error) {
	l := Line{State: OK, Check: check, Detail: found}
	if err != nil {
		l.State, l.Detail = Failed, errorText(err)
		r.sound = false
	}
	r.to.Line(l)
}

// errorText returns an error without its place in a config; joined errors have a line each.
func errorText(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []string
		for _, e := range joined.Unwrap() {
			all = append(all, errorText(e))
		}
		return strings.Join(all, "\n")
	}
	if wrong, ok := errors.AsType[*pluginhost.SpecError](err); ok {
		return wrong.Bare()
	}
	return err.Error()
}

// validator checks one validator of the plugin.
func (r *run) validator(ctx context.Context, about pluginhost.Offer) {
	spec := r.spec(about.Name)
	taken := "validator " + about.Name + ": it takes its settings"
	checks, err := r.inspect(ctx, spec)
	if err != nil {
		r.line(taken, "", r.hint(err))
		return
	}
	r.line(taken, about.Summary, nil)
	for _, c := range checks {
		r.line(c.Name, "", c.Err)
	}
	if err := r.laws(ctx, spec); err != nil {
		r.line("it starts again and judges a first step", "", err)
	}
}

// tries is how often a check of the wire may fail before it counts: the machine may be busy.
const tries = 3

// inspect runs the checks of the wire.
func (r *run) inspect(ctx context.Context, spec pluginhost.Spec) (checks []pluginhost.Check, err error) {
	for range tries {
		checks = nil
		err := r.host.Inspect(ctx, spec, func(c pluginhost.Check) { checks = append(checks, c) })
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(checks, func(c pluginhost.Check) bool { return c.Err != nil }) {
			break
		}
	}
	return checks, nil
}

// hint adds what to do when settings are required and none were given.
func (r *run) hint(err error) error {
	wrong, ok := errors.AsType[*pluginhost.SpecError](err)
	if ok && strings.HasPrefix(wrong.Key, "settings") && len(r.subject.Settings) == 0 {
		return fmt.Errorf("%s; give it some with --settings", errorText(err))
	}
	return err
}

// laws checks the laws with two processes: one that judges sessions from their first step, and one that
// joins later.
func (r *run) laws(ctx context.Context, spec pluginhost.Spec) error {
	var sets []*pluginhost.Set
	defer func() {
		for _, set := range sets {
			set.Close(ctx)
		}
	}()
	for range 2 {
		set, err := r.host.Start(ctx, []pluginhost.Spec{spec})
		if err != nil {
			return err
		}
		sets = append(sets, set)
	}
	declaration := sets[0].Status()[0].Reads
	r.line("what it reads", reading(declaration), nil)
	next := sets[0]
	failures, err := validatortest.Examine(func() (validator.Validator, error) {
		v := newRemote(next)
		next = sets[1]
		return v, ctx.Err()
	}, validatortest.Options{StepIDs: r.subject.StepIDs, Data: r.subject.Data, Sessions: r.subject.Sessions,
		Progress: func(done, of int) { r.to.Progress("sessions, bad input, many at once", done, of) }})
	if err != nil {
		return err
	}
	asked := uint64(0)
	for _, set := range sets {
		asked += set.Status()[0].Steps
	}
	r.results(failures, asked, declaration != nil)
	return nil
}

// reading says what a validator with this declaration is sent, and whether its verdicts are kept.
func reading(declaration []string) string {
	reads := inputs(declaration)
	ever := reads & (validator.InputAt | validator.InputGap)
	switch {
	case declaration == nil:
		return "it declares nothing: it is sent everything and asked about every step"
	case reads == 0:
		return "its state alone; verdicts are kept"
	case ever == 0:
		return reads.String() + "; verdicts are kept"
	default:
		return fmt.Sprintf("%s; it is asked about every step, as no two have the same %s",
			reads, strings.Join(ever.Names(), " and "))
	}
}

// results reports the outcome of each law. Ownership and expectation do not show from outside a
// process. The law of inputs is for a validator that declares what it reads; as the host sends it no
// other inputs, it checks that all its processes declare the same.
func (r *run) results(failures []validatortest.Failure, asked uint64, declared bool) {
	broken := map[string]string{}
	for _, f := range failures {
		broken[f.Law] = f.Text
	}
	_, silent := broken["answer"]
	_, slow := broken["deadline"]
	for _, law := range validatortest.Laws() {
		check := law.Name + ": " + law.Text
		text, isBroken := broken[law.Name]
		switch {
		case law.Name == "ownership" || law.Name == "expectation":
		case isBroken:
			r.line(check, "", errors.New(text))
		case law.Name == "inputs" && !declared:
		case law.Name == "concurrency" && len(broken) > 0:
			r.to.Line(Line{State: NotChecked, Check: check, Detail: "first mend the rest"})
		case silent || slow:
			r.to.Line(Line{State: NotChecked, Check: check, Detail: "not all was asked"})
		case law.Name == "answer":
			r.line(check, fmt.Sprintf("%d questions", asked), nil)
		default:
			r.line(check, "", nil)
		}
	}
}
