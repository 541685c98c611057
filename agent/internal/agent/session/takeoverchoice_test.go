package session_test

import (
	"strings"
	"testing"
	"time"
)

// TestWrongStepWaitsForEarlierConnection: while it is not seen to be closed, another
// client's session lies there, which must not be taken for it.
func TestWrongStepWaitsForEarlierConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		a.want("1 ok", a.once(here, every(5*time.Second, step(1)))) // another client
		earlier := a.connect(here)
		a.want("1 ok", do(earlier, step(1)))
		a.want("2 ok", do(earlier, step(2)))
		time.AfterFunc(20*time.Millisecond, earlier.Close)
		a.want("100 out_of_order", a.once(here, step(100)))
		a.want("4 ok", a.once(here, step(4)))
		time.Sleep(5 * time.Second)
		a.want("2 ok", a.once(here, step(2)))
	})
}

// TestDueSessionIsWaitedFor: another client's session expects the same step, but later.
func TestDueSessionIsWaitedFor(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		a.want("1 ok", a.once(here, every(5*time.Second, step(1)))) // another client
		earlier := a.connect(here)
		a.want("1 ok", do(earlier, every(time.Second, step(1))))
		time.Sleep(time.Second)
		time.AfterFunc(20*time.Millisecond, earlier.Close)
		next := a.connect(here)
		a.want("2 ok", do(next, every(9*time.Second, step(2))))
		next.Close()
		time.Sleep(4 * time.Second) // the other client's time
		a.want("2 ok", a.once(here, step(2)))
		time.Sleep(5 * time.Second) // and the first one's
		a.want("3 ok", a.once(here, step(3)))
	})
}

// TestWrongStepGoesToTheClientThatIsDue: five clients are in mid-procedure, each at another
// step and due at another time.
func TestWrongStepGoesToTheClientThatIsDue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		const clients = 5
		for n := range int64(clients) {
			for id := int64(1); id <= n+1; id++ {
				interval := time.Duration(n+1) * time.Second
				if id <= n {
					interval = 0
				}
				a.want(ok(id), a.once(here, every(interval, step(id))))
			}
		}
		began := time.Now()
		for n := range int64(clients) {
			time.Sleep(time.Until(began.Add(time.Duration(n+1) * time.Second)))
			a.want("100 out_of_order", a.once(here, every(10*time.Second, step(100))))
		}
		for n := range int64(clients) {
			time.Sleep(time.Until(began.Add(time.Duration(n+11)*time.Second + options.TakeoverWait)))
			a.want(ok(n+3), a.once(here, step(n+3)))
		}
	})
}

// TestWrongStepWhileSeveralAreDue: one is late and comes a moment after the wrong step, and
// another will never come.
func TestWrongStepWhileSeveralAreDue(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		for id := range int64(4) { // gone for good
			a.want(ok(id+1), a.once(here, step(id+1)))
		}
		a.want("1 ok", a.once(here, step(1)))
		a.want("2 ok", a.once(here, every(time.Second, step(2)))) // will be wrong
		time.Sleep(40 * time.Millisecond)
		a.want("1 ok", a.once(here, every(time.Second, step(1)))) // will be late
		time.Sleep(time.Second + 10*time.Millisecond)
		wrong, late := a.connect(here), a.connect(here)
		defer wrong.Close()
		defer late.Close()
		first := later(wrong, 100)
		time.Sleep(30 * time.Millisecond)
		a.want("2 ok", do(late, step(2)))
		a.want("100 out_of_order", <-first)
		a.want("4 ok", do(wrong, step(4)))
		a.want("3 ok", do(late, step(3)))
	})
}

// judgedIn returns the session in which the last step that passed was judged, as the log names
// it.
func (a *agent) judgedIn() string {
	last := a.log.kept[len(a.log.kept)-1].text
	_, rest, _ := strings.Cut(last, "session=")
	name, _, _ := strings.Cut(rest, " ")
	return name
}

// TestLikeliestSlotIsResumed: several sessions of one address expect it, and the
// end of the client's earlier connection may not have been seen yet.
func TestLikeliestSlotIsResumed(t *testing.T) {
	t.Parallel()
	const unseen = 20 * time.Millisecond
	tests := map[string]struct {
		other    time.Duration // the other client's interval
		attached bool          // the other's connection is open
		own      time.Duration // the client's interval
		after    time.Duration // when it comes
		unseen   time.Duration // how long after that its earlier connection is seen to be closed
		waits    bool
	}{
		"both due, its own later":            {other: time.Second, own: 2 * time.Second, after: 2 * time.Second},
		"it is late":                         {other: time.Second, own: 2 * time.Second, after: 2100 * time.Millisecond},
		"the other is not due":               {other: 9 * time.Second, own: 2 * time.Second, after: 2 * time.Second},
		"both early, its own left last":      {other: 5 * time.Second, own: 9 * time.Second, after: time.Second},
		"unseen, the other due long before":  {other: time.Second, own: 2 * time.Second, after: 2 * time.Second, unseen: unseen, waits: true},
		"unseen, late":                       {other: time.Second, own: 2 * time.Second, after: 2100 * time.Millisecond, unseen: unseen, waits: true},
		"unseen, the other not due":          {other: 9 * time.Second, own: 2 * time.Second, after: 2 * time.Second, unseen: unseen, waits: true},
		"unseen, both early":                 {other: 5 * time.Second, own: 9 * time.Second, after: time.Second, unseen: unseen, waits: true},
		"the other open and due long before": {other: time.Second, attached: true, own: 2 * time.Second, after: 2100 * time.Millisecond},
		"the other open and not due":         {other: 9 * time.Second, attached: true, own: 2 * time.Second, after: 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *agent) {
				other := a.connect(here)
				defer other.Close()
				a.want("1 ok", do(other, every(test.other, step(1))))
				if !test.attached {
					other.Close()
				}
				time.Sleep(time.Millisecond)
				earlier := a.connect(here)
				a.want("1 ok", do(earlier, every(test.own, step(1))))
				own := a.judgedIn()
				time.Sleep(time.Millisecond)
				if test.unseen == 0 {
					earlier.Close()
				}
				time.Sleep(test.after - time.Millisecond)
				time.AfterFunc(test.unseen, earlier.Close)
				sent := time.Now()
				a.want("2 ok", a.once(here, step(2)))
				if got := a.judgedIn(); got != own {
					t.Errorf("judged in session %s, want %s", got, own)
				}
				if took := time.Since(sent); took > 2*test.unseen || (took > 0) != test.waits {
					t.Errorf("took %v", took)
				}
				time.Sleep(time.Second)
			})
		})
	}
}
