package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/session"
)

// later sends the step on a goroutine of its own.
func later(c *session.Conn, id int64) <-chan session.Answer {
	answered := make(chan session.Answer, 1)
	req := step(id)
	go func() { answered <- do(c, req) }()
	return answered
}

// TestTakeoverWait: the end of the earlier connection is seen after the first step of the
// next one.
func TestTakeoverWait(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		seen   time.Duration // when the end is seen, counted from the step
		want   string
		within time.Duration
	}{
		"at once":      {0, "3 ok", 0},
		"a moment":     {2 * time.Millisecond, "3 ok", 3 * time.Millisecond},
		"a while":      {100 * time.Millisecond, "3 ok", 200 * time.Millisecond},
		"in time":      {options.TakeoverWait - 1, "3 ok", options.TakeoverWait},
		"not any more": {options.TakeoverWait + 1, "3 out_of_order", options.TakeoverWait},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *agent) {
				earlier := a.connect(here)
				a.want("1 ok", do(earlier, step(1)))
				a.want("2 ok", do(earlier, step(2)))
				next := a.connect(here)
				defer next.Close()
				time.AfterFunc(test.seen, earlier.Close)
				if test.seen == 0 {
					synctest.Wait()
				}
				sent := time.Now()
				a.want(test.want, do(next, step(3)))
				if took := time.Since(sent); took > test.within {
					t.Errorf("took %v, want at most %v", took, test.within)
				}
				time.Sleep(time.Second) // until earlier has closed in any case
			})
		})
	}
}

// TestWrongStepWaitsForItsEarlierConnection: while it is not seen to be closed, another
// client's session lies there, which must not be taken for it.
func TestWrongStepWaitsForItsEarlierConnection(t *testing.T) {
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

// TestPeerGone: the other end is known to have closed before anybody has read that far.
func TestPeerGone(t *testing.T) {
	t.Parallel()
	for id, want := range map[int64]string{3: "3 ok", 100: "100 out_of_order"} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(a *agent) {
				var gone atomic.Bool
				earlier := a.connectPeer(here, gone.Load)
				a.want("1 ok", do(earlier, step(1)))
				a.want("2 ok", do(earlier, step(2)))
				gone.Store(true)
				next := a.connect(here)
				sent := time.Now()
				a.want(want, do(next, step(id)))
				if took := time.Since(sent); took != 0 {
					t.Errorf("took %v though it was clear", took)
				}
				a.check()
				earlier.Close() // read at last; the session is with the next connection
				a.check()
				a.want("4 ok", do(next, step(4)))
				next.Close()
				a.want("5 ok", a.once(here, step(5)))
			})
		})
	}
}

// TestStepsThatAGoneConnectionSentAhead are judged in the same session, wherever it is now.
func TestStepsThatAGoneConnectionSentAhead(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		earlier := a.connectPeer(here, func() bool { return true })
		a.want("1 ok", do(earlier, step(1)))
		next := a.connect(here)
		a.want("2 ok", do(next, step(2)))
		a.want("3 ok", do(earlier, step(3)))
		next.Close()
		a.want("4 ok", do(earlier, step(4))) // the session has been left meanwhile
		a.check()
		a.want("5 ok", a.once(here, step(5)))
		for id := int64(6); id < 10; id++ {
			do(earlier, step(id))
		}
		a.want("10 ok end", do(earlier, step(10)))
		a.check()
		a.want("1 ok", do(earlier, step(1)))
		earlier.Close()
	})
}

func TestFirstStepOfAProcedureNeverResumes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		a.want("1 ok", a.once(here, step(1)))
		a.want("1 ok", a.once(here, step(1)))
		if got := a.Stats().Open; got != 2 {
			t.Errorf("%d sessions are open, want 2", got)
		}
	})
}

func TestOnlyTheFirstStepOfAConnectionResumes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		a.want("1 ok", do(c, step(1)))
		a.want("1 ok", a.once(here, step(1)))
		a.want("2 ok", do(c, step(2)))
		for id := int64(3); id <= 10; id++ {
			do(c, step(id))
		}
		a.want("2 out_of_order", do(c, step(2))) // the first of another session
		a.want("2 ok", a.once(here, step(2)))
	})
}

func TestAnotherAddressDoesNotResume(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		a.want("1 ok", a.once(here, step(1)))
		a.want("2 out_of_order", a.once(there, step(2)))
		a.want("2 ok", a.once("::ffff:"+here, step(2))) // the same address, written otherwise
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

// TestEarlyClient comes back before the time that it said, and is alone.
func TestEarlyClient(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		for _, test := range []struct {
			id   int64
			want string
		}{{1, "1 ok"}, {2, "2 ok"}, {100, "100 out_of_order"}, {4, "4 ok"}, {5, "5 ok"}} {
			sent := time.Now()
			a.want(test.want, a.once(here, every(10*time.Second, step(test.id))))
			if took := time.Since(sent); took != 0 {
				t.Errorf("step %d took %v", test.id, took)
			}
			time.Sleep(time.Second)
		}
	})
}

// TestPersistentConnectionIsNotTakenUp: it is not closed, so its session is its own.
func TestPersistentConnectionIsNotTakenUp(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		a.want("1 ok", do(c, step(1)))
		sent := time.Now()
		a.want("2 out_of_order", a.once(here, step(2)))
		if took := time.Since(sent); took != options.TakeoverWait {
			t.Errorf("took %v, want the takeover wait: the connection might be about to close", took)
		}
		a.want("2 ok", do(c, step(2)))
	})
}

// TestStopWhileLookingForASeat: the step has not been judged.
func TestStopWhileLookingForASeat(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		a.want("1 ok", do(c, step(1)))
		ctx, cancel := context.WithTimeout(context.Background(), options.TakeoverWait/2)
		defer cancel()
		next := a.connect(here)
		defer next.Close()
		sent := time.Now()
		a.want("2 shutting_down", next.Do(ctx, step(2), sent))
		if took := time.Since(sent); took != options.TakeoverWait/2 {
			t.Errorf("took %v", took)
		}
	})
}
