package session_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
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

// TestStepsSentAheadOfClose are judged in the same session, wherever it is now.
func TestStepsSentAheadOfClose(t *testing.T) {
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

// TestOpenConnectionIsNotResumed: it is not closed, so its session is its own.
func TestOpenConnectionIsNotResumed(t *testing.T) {
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

// TestStopDuringTakeover: the step has not been judged.
func TestStopDuringTakeover(t *testing.T) {
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

// TestStepInFlightIsNotResumed: a client that gives up its last step while it is being
// judged leaves a session that seems to expect that step still. It is not for another client.
func TestStepInFlightIsNotResumed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		gone := false
		impatient := a.connectPeer(here, func() bool { return gone })
		a.want("1 ok", do(impatient, step(1)))
		slow := step(2)
		slow.Data = order{Takes: 600 * time.Millisecond}.data()
		first := make(chan session.Answer, 1)
		go func() { first <- do(impatient, slow) }()
		time.Sleep(10 * time.Millisecond)
		gone = true

		other := a.connect(here)
		a.want("2 out_of_order", do(other, step(2)))
		a.want("2 ok", <-first)
		impatient.Close()
		a.want("3 ok", a.once(here, step(3)))
		other.Close()
	})
}
