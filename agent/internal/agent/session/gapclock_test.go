package session_test

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A watch is a Judge that takes its time, does as it is told and remembers the last gap.
type watch struct {
	takes time.Duration
	next  judge.Judgement
	gap   validator.Wait
	at    time.Duration
}

func (w *watch) First() judge.Expectation { return judge.Expectation{StepID: 1, Known: true} }

func (w *watch) Judge(_ context.Context, _ judge.Session, step judge.Step) judge.Judgement {
	w.gap, w.at = step.Gap, step.At
	time.Sleep(w.takes)
	return w.next
}

// Try answers what takes no time.
func (w *watch) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	if w.takes > 0 {
		return judge.Judgement{}, false
	}
	return w.Judge(context.Background(), s, step), true
}

// A pacer sends steps over connections of its own.
type pacer struct {
	*session.Manager
	*watch
	conn    *session.Conn
	perStep bool
	way     way
}

func newPacer(perStep bool, send way) *pacer {
	w := &watch{next: judge.Judgement{Outcome: validator.Pass}}
	m := session.NewManager(w, options, slog.New(slog.DiscardHandler))
	return &pacer{Manager: m, watch: w, perStep: perStep, way: send}
}

// send performs a step and returns how long the client had let pass before it.
func (p *pacer) send(req protocol.Request) validator.Wait {
	if p.conn == nil || p.perStep {
		p.hangUp()
		p.conn = p.Connect(session.Peer{Addr: netip.MustParseAddrPort(here + ":40000")})
	}
	p.gap = validator.Wait{Duration: -1}
	p.way(p.conn, req)
	return p.gap
}

func (p *pacer) hangUp() {
	if p.conn != nil {
		p.conn.Close()
	}
}

// TestGap puts one thing in the way of step 1 or 2 and looks at what the validators are told
// of the client's wait of a second before the last step.
func TestGap(t *testing.T) {
	t.Parallel()
	const second = time.Second
	fault := func(kind validator.FaultKind) func(*pacer) {
		return func(p *pacer) { p.next.Fault = &validator.Fault{Kind: kind, Delay: 300 * time.Millisecond, StepID: 7} }
	}
	undecided := func(p *pacer) { p.next.Outcome = validator.Undecided }
	wait := func(d time.Duration) func(*pacer) { return func(*pacer) { time.Sleep(d) } }
	sound := func(p *pacer) { p.takes, p.next = 0, judge.Judgement{Outcome: validator.Pass} }
	send := func(id int64, timeout ...time.Duration) func(*pacer) {
		return func(p *pacer) {
			req := protocol.Request{StepID: id, Session: "a", Req: protocol.NumReq(id)}
			for _, t := range timeout {
				req.Timeout = protocol.Seconds(t)
			}
			if p.perStep {
				req.Session = ""
			}
			p.send(req)
		}
	}
	slow := func(p *pacer) { p.takes = 2 * second }
	const none = -2 * time.Second
	tests := map[string]struct {
		acts []func(*pacer)
		want time.Duration
	}{
		"first":       {[]func(*pacer){wait(second), send(1)}, none},
		"kept":        {[]func(*pacer){send(1, 5*second), wait(second), send(2)}, second},
		"at once":     {[]func(*pacer){send(1), send(2)}, 0},
		"slow agent":  {[]func(*pacer){slow, send(1, 5*second), sound, wait(second), send(2)}, second},
		"after fail":  {[]func(*pacer){func(p *pacer) { p.next.Outcome = validator.Fail }, send(1), wait(second), send(2)}, second},
		"third":       {[]func(*pacer){send(1), wait(9 * second), send(2), wait(second), send(3)}, second},
		"came late":   {[]func(*pacer){slow, send(1, second/2), sound, send(2)}, 3 * second / 2}, // the reply came after the timeout
		"tried twice": {[]func(*pacer){send(1), wait(second), undecided, send(2), wait(7 * second), sound, send(2)}, second},
		"tried, then another": {[]func(*pacer){send(1), wait(second), undecided, send(2), sound, wait(second), send(3)},
			second},
		"undecided first": {[]func(*pacer){undecided, send(1), sound, wait(second), send(1)}, none},

		"delay":                       {[]func(*pacer){fault(validator.FaultDelay), send(1), sound, wait(1300 * time.Millisecond), send(2)}, second},
		"delay beyond the timeout":    {[]func(*pacer){fault(validator.FaultDelay), send(1, 200*time.Millisecond), wait(1200 * time.Millisecond), send(2)}, second},
		"delay, not waited for":       {[]func(*pacer){fault(validator.FaultDelay), send(1), sound, wait(100 * time.Millisecond), send(2)}, none},
		"split":                       {[]func(*pacer){fault(validator.FaultSplit), send(1), sound, wait(1300 * time.Millisecond), send(2)}, second},
		"late":                        {[]func(*pacer){fault(validator.FaultLate), send(1, second), sound, wait(2 * second), send(2)}, second},
		"late, no timeout":            {[]func(*pacer){fault(validator.FaultLate), send(1), sound, wait(1300 * time.Millisecond), send(2)}, second},
		"withhold":                    {[]func(*pacer){fault(validator.FaultWithhold), send(1, 5*second), sound, wait(6 * second), send(2)}, second},
		"withhold, no timeout":        {[]func(*pacer){fault(validator.FaultWithhold), send(1), sound, wait(6 * second), send(2)}, none},
		"withhold, not waited for":    {[]func(*pacer){fault(validator.FaultWithhold), send(1, 5*second), sound, wait(second), send(2)}, none},
		"reset":                       {[]func(*pacer){fault(validator.FaultReset), send(1, 5*second), sound, wait(second), send(2)}, second},
		"duplicate":                   {[]func(*pacer){fault(validator.FaultDuplicate), send(1, 5*second), sound, wait(second), send(2)}, second},
		"wrong code":                  {[]func(*pacer){fault(validator.FaultWrongCode), send(1, 5*second), sound, wait(second), send(2)}, second},
		"wrong id":                    {[]func(*pacer){fault(validator.FaultWrongID), send(1, 5*second), sound, wait(second), send(2)}, none},
		"a fault does not reach over": {[]func(*pacer){fault(validator.FaultWrongID), send(1), sound, send(2), wait(second), send(3)}, second},
	}
	for name, test := range tests {
		for n := range 4 {
			perStep, tries := n%2 > 0, n/2 > 0
			synctest.Test(t, func(t *testing.T) {
				p := newPacer(perStep, doWaiting)
				if tries {
					p.way = do
				}
				for _, act := range test.acts {
					act(p)
				}
				want := validator.Wait{Duration: test.want, Declared: true}
				if test.want == none {
					want = validator.Wait{}
				}
				if p.gap != want {
					t.Errorf("%s, a connection for each step %t, by Try %t: gap %v, want %v",
						name, perStep, tries, p.gap, want)
				}
				p.hangUp()
				p.Close()
			})
		}
	}
}

// TestGapAfterRepeatedRequest: a client that asks again has its reply only then.
func TestGapAfterRepeatedRequest(t *testing.T) {
	t.Parallel()
	for _, send := range []way{doWaiting, do} {
		synctest.Test(t, func(t *testing.T) {
			p := newPacer(false, send)
			first := named("a", 1)
			first.Req = protocol.NumReq(1)
			p.send(first)
			time.Sleep(6 * time.Second)
			p.send(first) // answered from memory
			time.Sleep(time.Second)
			second := named("a", 2)
			second.Req = protocol.NumReq(2)
			if got := p.send(second); got != (validator.Wait{Duration: time.Second, Declared: true}) {
				t.Errorf("after the last request came again: gap %v, want 1 s", got)
			}
			time.Sleep(time.Second)
			p.send(first) // an older one changes nothing
			time.Sleep(time.Second)
			if got := p.send(named("a", 3)); got != (validator.Wait{Duration: 2 * time.Second, Declared: true}) {
				t.Errorf("after an older request came again: gap %v, want 2 s", got)
			}
			p.hangUp()
			p.Close()
		})
	}
}
