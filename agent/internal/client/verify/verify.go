// Package verify judges a capture again: it finds the agent and its clients among the
// packets, cuts their messages with the code of the wire, finds the sessions with the code
// of the agent, asks validators for the verdict of each step, and says of everything that
// the capture claims whether the capture shows it.
//
// Three answers are kept apart. Pass: everything that is claimed is supported. Fail:
// something that is claimed is not so. Inconclusive: the capture does not hold enough to
// tell. What became of the run is another matter: a capture that shows truthfully how a
// step was refused is a good one. The package opens no connection and reads no clock.
package verify

import (
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A Verdict says whether a claim is supported. The zero value is Inconclusive.
type Verdict uint8

// The verdicts.
const (
	// Inconclusive: the capture does not hold enough to tell.
	Inconclusive Verdict = iota
	// Pass: what is claimed is supported.
	Pass
	// Fail: what is claimed is not so.
	Fail
)

// String returns the verdict as it is written in reports.
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	default:
		return "inconclusive"
	}
}

// MarshalText returns the verdict's name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// and returns the worse of two: a fail is one whatever else is not known.
func (v Verdict) and(other Verdict) Verdict {
	switch {
	case v == Fail || other == Fail:
		return Fail
	case v == Inconclusive || other == Inconclusive:
		return Inconclusive
	default:
		return Pass
	}
}

// Tolerances say how far times may be apart and still agree.
type Tolerances struct {
	// Early and Late are how much shorter and longer than declared an interval may be; Late
	// is at least LatePercent of the interval.
	Early, Late time.Duration
	LatePercent int
	// Edge is how near to the end of a timeout a reply must come that it cannot be told on
	// which side of it the client saw it.
	Edge time.Duration
	// Record is how far the times of a record and those of the packets may be apart, once
	// the difference of the two clocks is taken off.
	Record time.Duration
	// Clocks is how far the two clocks may be apart where nothing but the time says that
	// record and capture are of the same run.
	Clocks time.Duration
}

// DefaultTolerances returns the tolerances unless set otherwise.
func DefaultTolerances() Tolerances {
	return Tolerances{
		Early: 10 * time.Millisecond, Late: 100 * time.Millisecond, LatePercent: 10,
		Edge: 2 * time.Millisecond, Record: 100 * time.Millisecond, Clocks: 5 * time.Second,
	}
}

// A Judge is what the agent judges by: *judge.Judge is one.
type Judge interface {
	Judge(ctx context.Context, session judge.Session, step judge.Step) judge.Judgement
	First() judge.Expectation
}

// Options say by what a capture is judged.
type Options struct {
	// Judge has the validators; it is needed. Session are the agent's rules of sessions.
	Judge   Judge
	Session session.Options
	// MessageBytes is the agent's limit for a message, in bytes.
	MessageBytes int
	// Rules says in words where the validators come from. Simple says that they judge by
	// numbers, positions and timeouts of steps alone, so that it can be found out by trying
	// whether steps that are not in the capture explain a reply.
	Rules  string
	Simple bool
	// Port is the agent's; 0 to look who sends replies.
	Port uint16
	// Claims are what the capture is said to show, besides what its messages say.
	Claims []Claim
	// Procedure is what is said to have been sent; nil for nothing.
	Procedure *stepfile.Procedure
	// Record is what the client says; nil for nothing.
	Record *record.Log
	// Tolerances are DefaultTolerances when zero.
	Tolerances Tolerances
}

// Capture judges a capture. broken is why the file could not be read to its end, nil when it
// could. The error says that the record makes no sense, or is that of ctx.
func Capture(ctx context.Context, c *capture.Capture, broken error, opts Options) (*Report, error) {
	if opts.Tolerances == (Tolerances{}) {
		opts.Tolerances = DefaultTolerances()
	}
	opts.Session.TakeoverWait = 0 // by then the packets have told which connections are closed
	v := &verifier{opts: opts, capture: c, report: newReport(c, opts)}
	v.lookAtFile(broken)
	v.dialogs = findDialogs(c, opts)
	v.report.Foreign = c.Foreign + len(c.Conns) - len(v.dialogs)
	for _, d := range v.dialogs {
		v.exchanges = append(v.exchanges, d.match()...)
	}
	v.lookAtStreams()
	if opts.Record != nil {
		run, err := opts.Record.Fold()
		if err != nil {
			return nil, err
		}
		v.run = &run
	}
	v.replay(ctx)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v.collect()
	for _, s := range v.report.Sessions {
		v.judgeSession(s)
	}
	for _, s := range v.report.Outside {
		v.judgeStep(s, false)
	}
	if opts.Procedure != nil {
		v.compareProcedure(opts.Procedure)
	}
	if opts.Record != nil {
		v.compareRecord(*opts.Record)
	}
	v.comments()
	v.claims()
	v.conclude()
	return v.report, nil
}

// A verifier works on one capture.
type verifier struct {
	opts      Options
	capture   *capture.Capture
	report    *Report
	dialogs   []*dialog
	exchanges []*exchange
	steps     map[*exchange]*Step
	// lossy says that the capture may lack packets anywhere.
	lossy bool
	// guessed says that not everything could be tried that might explain a reply.
	guessed bool
	// partial are the hosts of whose connections something is missing.
	partial map[between]bool
	// chained are the chains, and run is what the record says; nil without one.
	chained []*chain
	run     *record.Run
}
