package runner_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A peer is the agent's end of one connection, in the hands of a script.
type peer struct {
	conn     net.Conn
	messages *protocol.Reader
	last     protocol.Request
}

func newPeer(conn net.Conn) *peer { return &peer{conn: conn, messages: protocol.NewReader(conn, 0)} }

// next reads a request; false when the client has hung up.
func (p *peer) next() bool {
	message, err := p.messages.Next()
	if err != nil {
		return false
	}
	if p.last, err = protocol.DecodeRequest(message); err != nil {
		panic(err)
	}
	return true
}

// send writes a message. $REQ stands for the req of the last request, $ID for its step_id.
// The client may have hung up, which is for the client's side of the test to see.
func (p *peer) send(message string) {
	words := strings.NewReplacer("$REQ", p.last.Req.String(), "$ID", fmt.Sprint(p.last.StepID))
	_, _ = p.conn.Write([]byte(words.Replace(message)))
}

// sendAfter sends while the script goes on.
func (p *peer) sendAfter(d time.Duration, message string) {
	at := *p
	time.AfterFunc(d, func() { at.send(message) })
}

// A script is what an agent does with one connection.
type script func(*peer)

// each does the n-th act at the n-th request, the last one for all that follow.
func each(acts ...func(p *peer)) script {
	return func(p *peer) {
		for i := 0; p.next(); i++ {
			acts[min(i, len(acts)-1)](p)
		}
	}
}

const (
	echoed = `{"step_id":$ID,"error_code":0,"req":$REQ}`
	bare   = `{"step_id":$ID,"error_code":0}`
)

// says returns an act that sends a message after a time.
func says(message string, after time.Duration) func(*peer) {
	return func(p *peer) { p.sendAfter(after, message) }
}

var (
	good   = says(echoed, 0)
	silent = func(*peer) {}
	hangUp = func(p *peer) { _ = p.conn.Close() } // it closes even with an error
)

// dialer connects to one script after the other. A nil script is an agent that cannot be
// reached; so is the end of the list.
func dialer(scripts ...script) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		if len(scripts) == 0 {
			return nil, errors.New("refused")
		}
		next := scripts[0]
		scripts = scripts[1:]
		if next == nil {
			return nil, errors.New("refused")
		}
		near, far := net.Pipe()
		go func() {
			defer func() { _ = far.Close() }() // nothing is left to send
			next(newPeer(far))
		}()
		return near, nil
	}
}

// slowly makes a dialer that takes its time.
func slowly(d time.Duration, dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		select {
		case <-time.After(d):
			return dial(ctx, network, address)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// procedure makes a procedure of the given step ids. Each step has a timeout of 5 s and an
// interval of 1 s.
func procedure(ids ...int64) stepfile.Procedure {
	p := stepfile.Procedure{Name: "steps.json", SHA256: "00"}
	for _, id := range ids {
		p.Steps = append(p.Steps, stepfile.Step{ID: id, Timeout: 5 * time.Second, Interval: time.Second})
	}
	return p
}

// A tester is a *testing.T or a *rapid.T.
type tester interface {
	Helper()
	Error(...any)
	Errorf(string, ...any)
	Fatal(...any)
	Fatalf(string, ...any)
}

// perform runs a procedure against scripts and returns what it came to and a line for each
// event. Steps are tried again only if the options say so. It checks what holds for every run: the events are a record that can be written,
// read and folded to the same end.
func perform(t *testing.T, p stepfile.Procedure, opts runner.Options, scripts ...script) (record.Run, string) {
	t.Helper()
	return performWithin(t.Context(), t, p, opts, scripts...)
}

func performWithin(ctx context.Context, t tester, p stepfile.Procedure, opts runner.Options, scripts ...script) (record.Run, string) {
	t.Helper()
	var events []record.Event
	var file bytes.Buffer
	writer := record.NewWriter(&file)
	if opts.Address == "" {
		opts.Address = "agent:8080"
	}
	if opts.Dial == nil {
		opts.Dial = dialer(scripts...)
	}
	if opts.RetryFor == 0 {
		opts.RetryFor = -1
	}
	opts.Emit = func(e record.Event) {
		events = append(events, e)
		if err := writer.Write(e); err != nil {
			t.Errorf("an event that cannot be written: %v", err)
		}
	}
	run, err := runner.Run(ctx, p, opts)
	if err != nil {
		t.Fatalf("%v, after\n%s", err, trace(events))
	}
	log, err := record.Read(&file, "run.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	again, err := log.Fold()
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Options{cmp.AllowUnexported(protocol.ReqID{}),
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })}
	if diff := cmp.Diff(again, run, same); diff != "" {
		t.Errorf("the record comes to something else: %s", diff)
	}
	if diff := cmp.Diff(log.Events, events, same); diff != "" {
		t.Errorf("the record holds something else: %s", diff)
	}
	return run, trace(events)
}

// trace tells the events in short, one a line: when, what, the step's place and id.
func trace(events []record.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%v %s", e.At, e.Kind)
		if e.Index > 0 {
			fmt.Fprintf(&b, " %d/%d", e.Index, e.StepID)
		}
		if e.Address != "" {
			fmt.Fprintf(&b, " to %s", e.Address)
		}
		switch e.Kind {
		case record.KindInterval:
			fmt.Fprintf(&b, " kept %v", e.Kept)
		case record.KindReply, record.KindLate:
			fmt.Fprintf(&b, " took %v code %d", e.Took, e.Reply.ErrorCode)
		case record.KindTimeout, record.KindLost, record.KindWrong:
			fmt.Fprintf(&b, " took %v", e.Took)
		case record.KindAgain:
			fmt.Fprintf(&b, " %s", e.Again.Cause)
		case record.KindStray:
			fmt.Fprintf(&b, " %s", e.Stray)
		case record.KindEnd:
			fmt.Fprintf(&b, " %s", e.End.Cause)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// expect compares a trace with the lines that it should have.
func expect(t *testing.T, got string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n")+"\n", got); diff != "" {
		t.Error(diff)
	}
}
