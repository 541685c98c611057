package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// options are those of the tests, with odd numbers so that no two deadlines meet.
var options = session.Options{
	Steps:             10,
	IdleTimeout:       60 * time.Second,
	ResumeWindow:      13 * time.Second,
	TakeoverWait:      250 * time.Millisecond,
	RememberedReplies: 64,
	MaxOpen:           1000,
}

// An order is what a test tells the validator "obedient" to do with one step: the step's
// data.
type order struct {
	Undecided bool
	Panic     string
	Takes     time.Duration
	Delay     time.Duration // asks for a fault
}

func (o order) data() []byte {
	data, _ := json.Marshal(o) // plain values always can be
	return data
}

// obedient is a validator that does as the step's data says.
type obedient struct{}

func (obedient) Validate(ctx context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	var o order
	if step.Data != nil {
		if err := json.Unmarshal(step.Data, &o); err != nil {
			return validator.Verdict{}, err
		}
	}
	if o.Takes > 0 {
		select {
		case <-time.After(o.Takes):
		case <-ctx.Done():
			return validator.Verdict{}, context.Cause(ctx)
		}
	}
	if o.Undecided {
		return validator.Verdict{}, errors.New("told to be undecided")
	}
	verdict := validator.PassWith(nil)
	if o.Delay > 0 {
		verdict.Fault = &validator.Fault{Kind: validator.FaultDelay, Delay: o.Delay}
	}
	return verdict, nil
}

// chain makes the validators of the tests: sequence, min_timeout and obedient, in two groups.
func chain(t rapid.TB, mode string, generation uint64) *judge.Chain {
	t.Helper()
	order, err := sequence.New(fmt.Appendf(nil, `{"after_bad_step":%q}`, mode))
	if err != nil {
		t.Fatal(err)
	}
	timeout, err := mintimeout.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return judge.NewChain(
		judge.Options{
			Generation:  generation,
			Limits:      judge.Limits{Floor: time.Second, Cap: 30 * time.Second},
			AllowFaults: true,
		},
		judge.Local(judge.Member{Name: "sequence", Validator: order}),
		judge.Local(judge.Member{Name: "min_timeout", Validator: timeout}, judge.Member{Name: "obedient", Validator: obedient{}}),
	)
}

// An agent is a Manager under test, with what it needs.
type agent struct {
	rapid.TB
	*session.Manager
	judge *judge.Judge
	log   *lines
	ports atomic.Uint32
	first atomic.Pointer[func()] // runs once when a session is about to begin
}

// A meddling Judge does what no validator can: it panics where a step's data says so, and
// runs the agent's function.
type meddling struct{ *agent }

func (m meddling) First() judge.Expectation {
	if run := m.first.Swap(nil); run != nil {
		(*run)()
	}
	return m.judge.First()
}

func (m meddling) Judge(ctx context.Context, s judge.Session, step judge.Step) judge.Judgement {
	var o order
	if step.Data != nil && json.Unmarshal(step.Data, &o) == nil && o.Panic != "" {
		panic(o.Panic)
	}
	return m.judge.Judge(ctx, s, step)
}

// newAgent returns an agent whose validator sequence has the mode.
func newAgent(t rapid.TB, mode string, o session.Options) *agent {
	t.Helper()
	a := &agent{TB: t, judge: judge.New(chain(t, mode, 1)), log: &lines{}}
	a.Manager = session.NewManager(meddling{a}, o, slog.New(a.log))
	a.ports.Store(40000)
	return a
}

// connect opens a connection from the address, each time from another port.
func (a *agent) connect(addr string) *session.Conn { return a.connectPeer(addr, nil) }

func (a *agent) connectPeer(addr string, gone func() bool) *session.Conn {
	return a.Connect(session.Peer{
		Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(a.ports.Add(1))), Gone: gone,
	})
}

// check looks at the tables once nothing moves any more.
func (a *agent) check() {
	a.Helper()
	synctest.Wait()
	if err := a.Check(); err != nil {
		a.Fatalf("the tables are wrong: %v", err)
	}
}

// expire waits until every session and every memory of one must be gone.
func (a *agent) expire() {
	a.Helper()
	time.Sleep(1000 * time.Hour)
	synctest.Wait()
	if left := a.Leftovers(); left != "" {
		a.Fatalf("after all has ended there are still %s", left)
	}
}

// step is a request without anything optional but a long timeout.
func step(id int64) protocol.Request {
	return protocol.Request{StepID: id, Timeout: protocol.Seconds(5 * time.Second)}
}

// named is a step that names its session.
func named(name string, id int64) protocol.Request {
	req := step(id)
	req.Session = name
	return req
}

func every(interval time.Duration, req protocol.Request) protocol.Request {
	req.Interval = protocol.Seconds(interval)
	return req
}

func do(c *session.Conn, req protocol.Request) session.Answer {
	return c.Do(context.Background(), req, time.Now())
}

// once sends the step over a connection of its own.
func (a *agent) once(addr string, req protocol.Request) session.Answer {
	c := a.connect(addr)
	defer c.Close()
	return do(c, req)
}

// said is a reply in short: "3 ok", "100 out_of_order", "10 ok end".
func said(answer session.Answer) string {
	r := answer.Reply
	word := string(r.Reason)
	if word == "" {
		word = "ok"
	}
	s := "? " + word
	if r.StepID != nil {
		s = fmt.Sprint(*r.StepID, " ", word)
	}
	if r.End {
		s += " end"
	}
	if answer.Replayed {
		s += " replayed"
	}
	return s
}

// want compares an answer with what must be said.
func (a *agent) want(what string, answer session.Answer) {
	a.Helper()
	if got := said(answer); got != what {
		a.Errorf("got %q (%s), want %q", got, answer.Reply.Detail, what)
	}
}

// lines is a slog.Handler that keeps what is logged.
type lines struct {
	mu   sync.Mutex
	kept []line
}

type line struct {
	level slog.Level
	at    time.Time
	text  string // message and attributes
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *lines) WithGroup(string) slog.Handler            { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		text += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = append(l.kept, line{r.Level, r.Time, text})
	return nil
}

// ends returns the lines of sessions that have ended.
func (l *lines) ends() []line {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ends []line
	for _, line := range l.kept {
		if strings.HasPrefix(line.text, "session ended") {
			ends = append(ends, line)
		}
	}
	return ends
}

func ok(id int64) string { return fmt.Sprint(id, " ok") }
