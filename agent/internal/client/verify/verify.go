// Package verify checks whether a packet capture supports what is claimed of it: by its replies, by
// a step file, by a run record, by its comments and its name. It opens no connection and reads no
// clock.
//
// The work is done in steps, each by a package or a type that knows only those before it:
//
//   - secured decrypts the connections that speak TLS, with the secrets of a key log;
//   - match finds the connections with an agent and matches replies to requests;
//   - inspector reports what is missing or contradictory in the packets;
//   - replay judges the requests again, with the sessions and validators of the agent;
//   - evidence groups the steps into sessions, finds their outcomes and measures the pauses
//     between them;
//   - stepCheck, sessionCheck, procedureCheck, recordCheck and claimCheck compare that with what is
//     claimed, and add findings to the result.Report.
//
// A verdict is about the evidence and not about the run: a capture that shows how a step was
// refused is a pass. What a missing packet may explain is inconclusive, never a failure: see
// docs/adr/0020-what-packets-prove.md.
package verify

import (
	"context"
	"time"

	agentsession "github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/capture/tlsrecord"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/replay"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// How far times may differ and still agree.
const (
	// DefaultLate is the usual Options.Late.
	DefaultLate = 100 * time.Millisecond
	// earlyTolerance is how much shorter than declared an interval may be.
	earlyTolerance = 10 * time.Millisecond
	// edge is the time around the end of a timeout in which the packets do not show whether the
	// client saw a reply in time.
	edge = 2 * time.Millisecond
	// recordTolerance bounds the difference between the times of a record and of the packets,
	// after the difference of their clocks.
	recordTolerance = 100 * time.Millisecond
	// clockTolerance bounds the difference of the clocks when only the times show that record and
	// capture are of the same run.
	clockTolerance = 5 * time.Second
)

// Options are the rules and claims by which a capture is verified.
type Options struct {
	// Judge has the validators; it is required. Session are the session rules of the agent.
	Judge   agentsession.Judge
	Session agentsession.Options
	// MessageBytes is the agent's limit for a message.
	MessageBytes int
	// Rules names the validators. Simple says that they judge by step ids, positions and timeouts
	// alone, so that trying missing steps can explain a reply.
	Rules  string
	Simple bool
	// Port is that of the agent; 0 to find who sends replies.
	Port uint16
	// Keys are the secrets of connections over TLS; nil for none.
	Keys *tlsrecord.KeyLog
	// Claims are what the capture is said to show, besides its messages.
	Claims []Claim
	// Procedure is what the client is said to have sent; nil for none.
	Procedure *stepfile.Procedure
	// Record is the run record of the client; nil for none.
	Record *record.Log
	// Late is how much longer than declared an interval may be; a tenth of it is always accepted.
	Late time.Duration
}

// lateBy returns how much longer than declared an interval may be.
func (o Options) lateBy(interval time.Duration) time.Duration { return max(o.Late, interval/10) }

// Wanted reports whether a payload may belong to a connection with an agent, over TLS too. It is a
// filter for capture.Options.
func (o Options) Wanted(payload []byte) bool {
	return match.MayBeAgents(payload) || o.Keys.MayBeAgents(payload)
}

// Capture verifies a capture, and decrypts its connections over TLS whose secrets are known. broken is
// why the file could not be read to its end, nil when it was. The error is that of ctx, or says that
// the record is invalid.
func Capture(ctx context.Context, c *capture.Capture, broken error, opts Options) (*result.Report, error) {
	readable, secured := decrypt(c, opts)
	e := &evidence{opts: opts, capture: c, report: result.New(c, opts.Rules), secured: secured}
	e.conns = match.Conns(readable, opts.Port, opts.MessageBytes)
	e.report.Connections = len(e.conns)
	e.findAgents()
	e.report.Foreign = c.Foreign + len(c.Conns) - e.report.Connections
	inspector := &inspector{capture: c, conns: e.conns, findings: &e.report.Findings}
	e.lossy = inspector.inspectFile(broken) != result.Pass
	e.sealed = inspector.inspectSecured(secured)
	e.lossy = e.lossy || e.sealed
	inspector.inspectTimes()
	inspector.inspectConns()
	if opts.Record != nil {
		run, err := opts.Record.Fold()
		if err != nil {
			return nil, err
		}
		e.recordedRun = &run
		e.findShared()
	}
	replayed := replay.Run(ctx, e.conns, e.home, opts.Judge, opts.Session)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.report.Agents = append(e.report.Agents, replayed.Agents...)
	e.addAgents()
	e.group(replayed)
	for _, s := range e.sessions {
		(&sessionCheck{evidence: e, session: s}).run()
	}
	for _, s := range e.outside {
		e.checkStep(s, false)
	}
	if opts.Procedure != nil {
		(&procedureCheck{evidence: e, procedure: opts.Procedure}).run()
	}
	if opts.Record != nil {
		e.report.Record = newRecordCheck(e, opts.Record).run()
	}
	(&claimCheck{evidence: e}).run()
	e.conclude()
	return e.report, nil
}
