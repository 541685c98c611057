// Package runner performs a procedure against an agent: it sends the steps, waits as they
// say, goes on whatever happens, and reports each thing as it happens as an event of the
// run's record. It prints nothing and writes no file.
package runner

import (
	"context"
	"crypto/rand"
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

// DefaultDialTimeout is how long a connection may take to be made.
const DefaultDialTimeout = 5 * time.Second

// DefaultMaxStrays is how many messages that answer nothing a run keeps.
const DefaultMaxStrays = 256

// Options say against whom a procedure is run, and how.
type Options struct {
	// Address is the agent's host and port. It is needed.
	Address string
	// Session names the session: 1 to 64 printable ASCII characters. Empty means a random
	// name, so that no two runs are ever taken for one.
	Session string
	// Plain does as clients do that know nothing of sessions: it names none, sends no req,
	// ends no message with a newline and opens a connection for every step. Session must be
	// empty.
	Plain bool
	// DialTimeout is how long a connection may take to be made; 0 means DefaultDialTimeout.
	// It is no part of any step's timeout, which counts from the sending.
	DialTimeout time.Duration
	// MaxReplyBytes is the length of the longest reply that is read, in bytes; 0 means
	// protocol.DefaultMaxMessageBytes.
	MaxReplyBytes int
	// MaxStrays is how many messages that answer nothing are kept as events; further ones are
	// counted, see record.KindDropped. 0 means DefaultMaxStrays. A late reply is no such
	// message.
	MaxStrays int
	// ClientVersion, AgentVersion and Host go into the start of the record as they are.
	// ClientVersion is told to the agent too, to learn the agent's, which the first reply
	// then has. AgentVersion is for who knows it beforehand.
	ClientVersion, AgentVersion, Host string
	// Emit is called with each event as it happens, in the order of the record; nil for
	// none. Calls come one at a time, but from several goroutines. Emit must return soon,
	// because the run waits for it, and must not change what the event points to.
	Emit func(record.Event)
	// OnInterval is called when the client begins to wait after a step, when there is
	// something to wait for, under the same rules as Emit. It is for whoever counts down;
	// the record has what was kept, afterwards. nil for none.
	OnInterval func(index int, stepID int64, interval time.Duration)
	// Dial makes a connection; nil means that of a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Run performs the procedure and returns what it came to, which is what record.Fold makes
// of the emitted events.
//
// For each step Run sends the request, waits for the reply up to the step's timeout, and
// goes on whatever happened. A reply that comes exactly at the end of the timeout is too
// late. After each step but the last it waits the step's interval, once, counted from the
// reply, the expiry or the loss. All times are on the monotonic clock.
//
// After a lost connection the next step opens a new one, and the session goes on. A step
// that finds no agent is recorded as unreachable, and the run goes on as well; but when that
// happens to the first step the run ends with the cause record.Lost, see Run.Unreached.
//
// A late reply is recorded with the step that it belongs to, whenever it comes before the
// run ends; Run does not wait for one after the last step.
//
// When ctx ends the run ends with the cause record.Interrupted, at once, with everything
// recorded that had happened. That is no error. An error means that the run could not begin,
// because of the options, and that nothing was emitted; or, as a *record.EventError, that what
// was emitted contradicts itself, which is a defect.
func Run(ctx context.Context, procedure stepfile.Procedure, opts Options) (record.Run, error) {
	if err := opts.complete(); err != nil {
		return record.Run{}, err
	}
	// The steps are to see that ctx has ended, but never its deadline: a step times out by
	// its own timeout, and by nothing else.
	stepCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	r := &run{ctx: stepCtx, opts: opts, procedure: procedure, log: newLog(opts.Emit, opts.MaxStrays)}
	r.log.start(startOf(procedure, opts))
	if ctx.Err() != nil {
		cancel() // now, and not soon: who ends the run at its start wants nothing sent
	}
	return r.log.end(r.steps())
}

// Validate says what is wrong with the options, as Run would.
func (o Options) Validate() error { return o.complete() }

// complete fills in the defaults and says what is wrong.
func (o *Options) complete() error {
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return fmt.Errorf("the agent's address must be a host and a port: %w", err)
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

func randomSession() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return "stepctl-" + hex.EncodeToString(id)
}

// name is how the client introduces itself to the agent; empty when it does not.
func (o *Options) name() string {
	name := "stepctl " + o.ClientVersion
	if o.ClientVersion == "" || !isName(name) {
		return ""
	}
	return name
}

// isName reports whether text can stand in a message as a name.
func isName(text string) bool {
	beyond := func(c rune) bool { return c < ' ' || c > '~' }
	return text != "" && len(text) <= protocol.MaxNameBytes && !strings.ContainsFunc(text, beyond)
}

// startOf returns the first event's content.
func startOf(procedure stepfile.Procedure, opts Options) record.Start {
	steps := make([]record.Step, len(procedure.Steps))
	for i, step := range procedure.Steps {
		steps[i] = record.Step{StepID: step.ID, Timeout: step.Timeout, Interval: step.Interval}
	}
	return record.Start{
		Format: record.Format, Client: opts.ClientVersion, Agent: opts.AgentVersion, Host: opts.Host,
		Address: opts.Address, Session: opts.Session,
		Time:      time.Now().Round(0), // all other times come from the monotonic clock
		Procedure: record.Procedure{Name: strings.ToValidUTF8(procedure.Name, "\ufffd"), SHA256: procedure.SHA256, Steps: steps},
	}
}
