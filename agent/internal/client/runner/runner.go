// Package runner performs a procedure against an agent. It sends the steps in order, continues after
// failures, and emits the events of the run's record. It prints nothing and writes no file.
package runner

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

// DefaultMaxStrays is the default of Options.MaxStrays.
const DefaultMaxStrays = 256

// Options configure a run.
type Options struct {
	// Address is the agent's host and port. It is required.
	Address string
	// Fallbacks are the addresses of further agents that share their sessions with it, in order, see
	// client.Options.
	Fallbacks []string
	// Session names the session: 1 to 64 printable ASCII characters. Empty means a random name,
	// so that each run has a session of its own.
	Session string
	// Plain behaves like a client that does not know sessions: it sends no session, no req and
	// no newlines, and opens a connection for each step. Session must be empty.
	Plain bool
	// DialTimeout limits how long connecting takes; 0 means client.DefaultDialTimeout. It is not part
	// of a step's timeout, which counts from the sending.
	DialTimeout time.Duration
	// RetryFor limits how long a step that got no verdict is tried again, see client.Options: 0 means
	// client.DefaultRetryFor, and less never. Plain implies never.
	RetryFor time.Duration
	// MaxReplyBytes is the length of the longest accepted reply, in bytes; 0 means
	// protocol.DefaultMaxMessageBytes.
	MaxReplyBytes int
	// MaxStrays limits the events for messages that answer no step; further ones are counted,
	// see record.KindDropped. 0 means DefaultMaxStrays. Late replies are not limited.
	MaxStrays int
	// ClientVersion, AgentVersion and Host are recorded in the start event. ClientVersion is
	// also sent to the agent, which answers with its own version. AgentVersion is empty unless
	// it is known before the run.
	ClientVersion, AgentVersion, Host string
	// Emit is called with each event, in the order of the record; nil means no call. Calls do
	// not overlap, but come from several goroutines. Emit must return soon, because the run
	// waits for it, and must not change what the event points to.
	Emit func(record.Event)
	// OnInterval is called when the client starts to wait for an interval longer than 0, under
	// the same rules as Emit. It serves a countdown. nil means no call.
	OnInterval func(index int, stepID int64, interval time.Duration)
	// Dial opens a TCP connection; nil means the DialContext of a zero net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// TLS secures the connections, see tlsdial.Dialer; nil for plain TCP. KeyLog is the file that
	// gets their keys, which is recorded; empty for none.
	TLS    *tls.Config
	KeyLog string
	// Resume is a run that was interrupted, with which Run goes on; nil for a new run. Session must be
	// empty or that of the run, and Plain must not be set.
	Resume *Interrupted
}

// Run performs the procedure and returns its result, which equals record.Fold of the emitted events.
//
// For each step Run sends the request, waits for the reply up to the step's timeout, and continues
// with the next step in any case. A reply that arrives exactly at the end of the timeout is late.
// After each step but the last, Run waits the step's interval once, counted from the reply, the
// expiry or the loss. All times are on the monotonic clock.
//
// If the connection is lost or the agent could not judge the step, the step is sent again, with the same
// req and within its timeout, see client.Client.Do; with fallbacks, to the next of the addresses. After a lost connection the next step opens a new
// one, and the session continues. A step that cannot be sent is recorded as unreachable. If that is the
// first step, the run ends with the cause record.Lost, see record.Run.Unreached. If client and agent cannot
// agree on TLS, the run ends at any step, with the cause record.Refused.
//
// A late reply is recorded with its step if it arrives before the run ends; Run does not wait for
// one after the last step.
//
// When ctx ends, the run ends at once with the cause record.Interrupted, which is not an error. An
// error is either about the options, and nothing was emitted, or a *record.EventError: the emitted
// events contradict each other, which is a defect.
//
// With Options.Resume, Run connects first, and its error is that of client.Dial, with nothing emitted, if
// the agent cannot be reached. Then it emits the events of the interrupted run and record.KindResumed,
// waits what is left of the last interval by the wall clock, and goes on with the first step that has no
// outcome. If that step had been sent, it is sent again with the same req, so that an agent that has
// judged it sends its reply once more.
func Run(ctx context.Context, procedure stepfile.Procedure, opts Options) (record.Run, error) {
	if err := opts.setDefaults(); err != nil {
		return record.Run{}, err
	}
	// stepCtx ends with ctx but has no deadline: a step times out only by its own timeout.
	stepCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	r := &run{ctx: stepCtx, opts: opts, procedure: procedure, log: newLog(opts)}
	first := 1
	if opts.Resume == nil {
		r.log.start(startOf(procedure, opts))
	} else {
		r.log.connecting = true
		if err := r.connect(); err != nil && ctx.Err() == nil {
			return record.Run{}, err
		}
		first = r.resume(opts.Resume)
	}
	if ctx.Err() != nil {
		cancel() // at once, so that no step is sent
	}
	cause := r.performFrom(first)
	r.close()
	return r.log.end(cause)
}

// Validate returns the error that Run would return for the options.
func (o Options) Validate() error { return o.setDefaults() }

// setDefaults sets the defaults and validates the options.
func (o *Options) setDefaults() error {
	for _, address := range append([]string{o.Address}, o.Fallbacks...) {
		if _, _, err := net.SplitHostPort(address); err != nil {
			return fmt.Errorf("the agent's address must be a host and a port: %w", err)
		}
	}
	if o.Emit == nil {
		o.Emit = func(record.Event) {}
	}
	if o.MaxStrays == 0 {
		o.MaxStrays = DefaultMaxStrays
	}
	if o.OnInterval == nil {
		o.OnInterval = func(int, int64, time.Duration) {}
	}
	if o.Resume != nil {
		if err := o.resume(); err != nil {
			return err
		}
	}
	switch {
	case o.Plain && o.Session != "":
		return errors.New("a plain client names no session; leave out one of the two")
	case o.Plain:
		return nil
	case o.Session == "":
		o.Session = randomSession()
		return nil
	}
	if !isName(o.Session) {
		return fmt.Errorf("the session %.80q must be 1 to %d printable ASCII characters", o.Session, protocol.MaxNameBytes)
	}
	return nil
}

// addresses returns all addresses; none if there is one alone.
func (o *Options) addresses() []string {
	if len(o.Fallbacks) == 0 {
		return nil
	}
	return append([]string{o.Address}, o.Fallbacks...)
}

func randomSession() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return "stepctl-" + hex.EncodeToString(id)
}

// clientName returns the name that the client sends to the agent; empty for none.
func (o *Options) clientName() string {
	name := "stepctl " + o.ClientVersion
	if o.ClientVersion == "" || !isName(name) {
		return ""
	}
	return name
}

// isName reports whether the protocol accepts text as a name.
func isName(text string) bool {
	beyond := func(c rune) bool { return c < ' ' || c > '~' }
	return text != "" && len(text) <= protocol.MaxNameBytes && !strings.ContainsFunc(text, beyond)
}

// startOf returns the content of the start event.
func startOf(procedure stepfile.Procedure, opts Options) record.Start {
	return record.Start{
		Format: record.Format, Client: opts.ClientVersion, Agent: opts.AgentVersion, Host: opts.Host,
		Address: opts.Address, Addresses: opts.addresses(), Session: opts.Session,
		Time:      time.Now().Round(0), // all other times come from the monotonic clock
		Procedure: record.Procedure{Name: strings.ToValidUTF8(procedure.Name, "\ufffd"), SHA256: procedure.SHA256, Steps: stepsOf(procedure)},
	}
}

func stepsOf(procedure stepfile.Procedure) []record.Step {
	steps := make([]record.Step, len(procedure.Steps))
	for i, step := range procedure.Steps {
		steps[i] = record.Step{StepID: step.ID, Timeout: step.Timeout, Interval: step.Interval}
	}
	return steps
}
