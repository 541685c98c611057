package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// TestResumeWindow: a session whose connection has closed waits so long and no longer, and
// the interval that the client declared does not count.
func TestResumeWindow(t *testing.T) {
	t.Parallel()
	for name, interval := range map[string]time.Duration{"none declared": 0, "declared": 5 * time.Second} {
		for _, session := range []string{"", "bench-7"} {
			t.Run(name+" "+session, func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(a *agent) {
					window := interval + options.ResumeWindow
					a.want("1 ok", a.once(here, every(interval, named(session, 1))))
					time.Sleep(window - 1)
					a.want("2 ok", a.once(here, every(interval, named(session, 2))))
					time.Sleep(window)
					synctest.Wait()
					if got := a.Stats(); got.Open != 0 || got.Incomplete != 1 {
						t.Errorf("after the window: %+v", got)
					}
					a.want("3 out_of_order", a.once(here, named(session, 3))) // the first of another session
				})
			})
		}
	}
}

// TestLongInterval: with its connection open, a session outlasts a declared interval of a day;
// once that has closed, one of the longest interval.
func TestLongInterval(t *testing.T) {
	t.Parallel()
	const huge = 1000 * time.Hour
	for _, name := range []string{"", "bench-7"} {
		for after, want := range map[time.Duration]time.Duration{
			0:                                 options.LongestInterval + options.ResumeWindow,
			20 * time.Hour:                    options.LongestInterval + options.ResumeWindow,
			session.MaxQuiet - 10*time.Second: 10*time.Second + options.ResumeWindow,
			session.MaxQuiet + time.Second:    options.ResumeWindow,
			session.MaxQuiet + options.IdleTimeout - time.Second: time.Second,
		} {
			inBubble(t, func(a *agent) {
				c := a.connect(here)
				a.want("1 ok", do(c, every(huge, named(name, 1))))
				time.Sleep(after)
				c.Close()
				time.Sleep(want - 1)
				synctest.Wait()
				if got := a.Stats().Open; got != 1 {
					t.Errorf("closed %v after the step: %d sessions open at the end of the window", after, got)
				}
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				if got := a.Stats().Open; got != 0 {
					t.Errorf("closed %v after the step: %d sessions open %v later", after, got, want)
				}
			})
		}
	}
}

func TestResumeWindowCountsFromTheCloseAndNotFromTheStep(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		a.want("1 ok", do(c, step(1)))
		time.Sleep(20 * time.Second)
		c.Close()
		time.Sleep(options.ResumeWindow - 1)
		a.want("2 ok", a.once(here, step(2)))
	})
}

// TestIdleTimeout: with its connection open, a session waits longer.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "bench-7"} {
		inBubble(t, func(a *agent) {
			c := a.connect(here)
			defer c.Close()
			interval := 100 * time.Second // longer than the idle timeout
			a.want("1 ok", do(c, every(interval, named(name, 1))))
			time.Sleep(interval + options.IdleTimeout - 1)
			a.want("2 ok", do(c, every(interval, named(name, 2))))
			time.Sleep(interval + options.IdleTimeout)
			synctest.Wait()
			if got := a.Stats(); got.Open != 0 || got.Incomplete != 1 {
				t.Errorf("after the idle timeout: %+v", got)
			}
			a.want("3 out_of_order", do(c, named(name, 3)))
		})
	}
}

// TestIdleTimeoutAfterALongInterval: what was declared with an earlier step is of no account.
func TestIdleTimeoutAfterALongInterval(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		a.want("1 ok", do(c, every(time.Hour, step(1))))
		time.Sleep(2 * options.IdleTimeout)
		a.want("2 ok", do(c, step(2)))
		time.Sleep(options.IdleTimeout)
		synctest.Wait()
		if got := a.Stats(); got.Open != 0 {
			t.Errorf("idle for %v and still open", options.IdleTimeout)
		}
	})
}

func TestIntervalHoldsASessionForADayAtMost(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		a.want("1 ok", do(c, every(protocol.MaxWait, step(1))))
		time.Sleep(24*time.Hour + options.IdleTimeout)
		synctest.Wait()
		if got := a.Stats(); got.Open != 0 {
			t.Error("still open after a day")
		}
	})
}

func TestNamedSessionIsLeftByItsLastConnection(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(there)
		a.want("1 ok", do(c, named("a", 1)))
		a.want("2 ok", do(d, named("a", 2)))
		c.Close()
		time.Sleep(2 * options.ResumeWindow)
		a.want("3 ok", do(d, named("a", 3)))
		d.Close()
		time.Sleep(options.ResumeWindow)
		synctest.Wait()
		a.want("4 out_of_order", a.once(here, named("a", 4)))
	})
}

func TestOptionsChangeWhileSessionsAreOpen(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, left := a.connect(here), a.connect(there)
		defer c.Close()
		a.want("1 ok", do(c, step(1)))
		a.want("1 ok", do(left, step(1)))
		left.Close()

		shorter := options
		shorter.Steps, shorter.ResumeWindow, shorter.IdleTimeout = 2, 5*time.Second, 8*time.Second
		a.SetOptions(shorter)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := a.Stats(); got.Open != 1 || got.Incomplete != 1 {
			t.Errorf("after the shorter resume window: %+v", got)
		}
		a.want("2 ok", do(c, step(2))) // it keeps the ten steps with which it began
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if got := a.Stats(); got.Open != 0 {
			t.Errorf("after the shorter idle timeout: %+v", got)
		}
		a.want("1 ok", do(c, step(1)))
		a.want("2 ok end", do(c, step(2)))

		a.want("1 ok", do(c, step(1)))
		longer := options
		longer.IdleTimeout = time.Hour
		a.SetOptions(longer)
		time.Sleep(time.Hour - 1)
		a.want("2 ok end", do(c, step(2)))

		longer.Codes = protocol.Codes{protocol.OutOfOrder: 2}
		a.SetOptions(longer)
		if got := do(c, step(7)).Reply.ErrorCode; got != 2 {
			t.Errorf("error code %d, want 2", got)
		}
	})
}
