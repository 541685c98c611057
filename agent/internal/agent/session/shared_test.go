package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// shared runs the test on virtual time with two agents that share a bucket. When it ends, their tables must
// be sound and, once all has expired, empty.
func shared(t *testing.T, test func(a, b *agent, bucket *fakeBucket)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		bucket := newFakeBucket()
		agents := [2]*agent{}
		for i := range agents {
			agents[i] = newAgentWith(t, "advance", options, everything)
			agents[i].Restore(bucket.open())
		}
		test(agents[0], agents[1], bucket)
		for _, a := range agents {
			a.check()
		}
		for _, a := range agents {
			a.expire()
		}
	})
}

// TestSessionMoves: a client goes on at another agent and comes back, and each step counts once, in its
// place. A request that was judged gets its reply at any agent.
func TestSessionMoves(t *testing.T) {
	t.Parallel()
	shared(t, func(a, b *agent, _ *fakeBucket) {
		c, d := a.connect(here), b.connect(here)
		defer c.Close()
		defer d.Close()
		a.mustNotTry(c, request("s", 1, 1)) // it may be known to another agent
		a.want("1 ok", do(c, request("s", 1, 1)))
		a.want("2 ok", do(c, request("s", 2, 2)))
		b.want("2 ok replayed", do(d, request("s", 2, 2)))
		b.want("3 ok", do(d, request("s", 3, 3)))
		a.want("1 ok replayed", do(c, request("s", 1, 1)))
		a.want("3 ok replayed", do(c, request("s", 3, 3)))
		for id := int64(4); id < 10; id++ {
			on, by := a, c
			if id%2 == 0 {
				on, by = b, d
			}
			answer := do(by, request("s", id, id))
			on.want(ok(id), answer)
			if answer.Trace.Position != int(id) {
				t.Errorf("step %d is at position %d", id, answer.Trace.Position)
			}
		}
		a.want("10 ok end", do(c, request("s", 10, 10)))
		b.want("10 ok end replayed", do(d, request("s", 10, 10)))
		b.want("1 ok", do(d, request("s", 1, 11))) // the next session of the name
		if n := a.Stats(); n.MovedIn != 4 || n.MovedOut != 4 || n.Completed != 1 || n.Incomplete != 0 {
			t.Errorf("the first agent: %+v", n)
		}
		if n := b.Stats(); n.MovedIn != 4 || n.Completed != 0 || n.Open != 1 {
			t.Errorf("the second agent: %+v", n)
		}
	})
}

// TestJudgedMeanwhile: both agents judge a step, and one commits. The other finds the reply, or judges the
// step where the session is by then.
func TestJudgedMeanwhile(t *testing.T) {
	t.Parallel()
	shared(t, func(a, b *agent, _ *fakeBucket) {
		c, d := a.connect(here), b.connect(here)
		defer c.Close()
		defer d.Close()
		do(c, request("s", 1, 1))
		do(d, request("s", 2, 2))
		do(c, request("s", 3, 3))
		a.mustJudge(c, request("s", 4, 4))
		b.want("4 ok", do(d, request("s", 4, 4)))
		a.want("4 ok replayed", a.stored(c))
		a.mustJudge(c, request("s", 5, 5))
		b.want("6 out_of_order", do(d, request("s", 6, 6)))
		if got := a.stored(c); got.Trace.Position != 6 {
			t.Errorf("judged at %+v", got)
		}
	})
}

// TestOtherAgentsSessionDoesNotExpire: an agent whose client went away to another one neither ends the
// session nor counts it as incomplete; nor does an operator there.
func TestOtherAgentsSessionDoesNotExpire(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(a *agent){
		"idle":     func(*agent) {},
		"operator": func(a *agent) { a.EndSession("s") },
		"stop":     func(a *agent) { a.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared(t, func(a, b *agent, _ *fakeBucket) {
				c, d := a.connect(here), b.connect(here)
				defer d.Close()
				do(c, request("s", 1, 1))
				c.Close()
				b.want("2 ok", do(d, request("s", 2, 2)))
				end(a)
				for id := int64(3); id < 10; id++ {
					time.Sleep(options.IdleTimeout / 2)
					b.want(ok(id), do(d, request("s", id, id)))
				}
				if n := a.Stats(); n.Incomplete != 0 || name != "stop" && (n.MovedOut != 1 || n.Open != 0) {
					t.Errorf("%+v", n)
				}
			})
		})
	}
}

// TestSharedStoreAway: a name that cannot be read is not judged, and takes no position.
func TestSharedStoreAway(t *testing.T) {
	t.Parallel()
	shared(t, func(a, b *agent, bucket *fakeBucket) {
		c, d := a.connect(here), b.connect(here)
		defer c.Close()
		defer d.Close()
		do(c, request("s", 1, 1))
		bucket.fates = func() fate { return refused }
		b.want("2 busy", do(d, request("s", 2, 2)))
		a.want("2 busy", do(c, request("s", 2, 2)))
		a.want("1 ok", do(c, step(1))) // it has no name, and is not stored
		bucket.fates = nil
		b.want("2 ok", do(d, request("s", 2, 2)))
		a.want("3 ok", do(c, request("s", 3, 3)))
	})
}

// TestInDoubtElsewhere: what an agent has sent and does not know of is found by the agent that the client
// asks next, or arrives too late to count.
func TestInDoubtElsewhere(t *testing.T) {
	t.Parallel()
	for _, arrives := range []bool{false, true} {
		shared(t, func(a, b *agent, bucket *fakeBucket) {
			c, d := a.connect(here), b.connect(here)
			defer c.Close()
			defer d.Close()
			do(c, request("s", 1, 1))
			bucket.fates = func() fate { return lostInDoubt }
			if got := do(c, request("s", 2, 2)); !got.Unknown {
				t.Errorf("%+v", got)
			}
			bucket.fates = nil
			if arrives {
				bucket.arrive()
				b.want("2 ok replayed", do(d, request("s", 2, 2)))
			} else {
				b.want("2 ok", do(d, request("s", 2, 2)))
				bucket.arrive()
			}
			b.want("3 ok", do(d, request("s", 3, 3)))
			a.want("2 ok replayed", do(c, request("s", 2, 2)))
			a.want("4 ok", do(c, request("s", 4, 4)))
		})
	}
}

// TestAbandonedSession: its agent is gone, and its client does not come back in time. The name begins anew
// with the next client, and the old session is incomplete.
func TestAbandonedSession(t *testing.T) {
	t.Parallel()
	deadline := options.IdleTimeout + options.ResumeWindow
	for away, position := range map[time.Duration]int{deadline - time.Second: 3, deadline + time.Second: 1} {
		shared(t, func(a, b *agent, _ *fakeBucket) {
			c, d := a.connect(here), b.connect(here)
			defer d.Close()
			do(c, request("s", 1, 1))
			do(c, request("s", 2, 2))
			c.Close()
			a.Close()
			time.Sleep(away)
			answer := do(d, request("s", 1, 3))
			if n := b.Stats(); answer.Trace.Position != position || n.Incomplete != uint64(3-position)/2 || n.Open != 1 {
				t.Errorf("after %v: position %d, %+v", away, answer.Trace.Position, n)
			}
		})
	}
}

// TestForgetsWhatMoved: an agent has its store forget each name that it drops, also one whose session has gone on
// at another agent, and one that it could not read again since.
func TestForgetsWhatMoved(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(a *agent, c *session.Conn, bucket *fakeBucket){
		"idle":     func(*agent, *session.Conn, *fakeBucket) {},
		"operator": func(a *agent, _ *session.Conn, _ *fakeBucket) { a.EndSession("s") },
		"not read again": func(a *agent, c *session.Conn, bucket *fakeBucket) {
			fates := []fate{succeeds, refused} // of the commit, which conflicts, and of the read
			bucket.fates = func() (next fate) { next, fates = fates[0], fates[1:]; return next }
			a.want("3 busy", do(c, request("s", 3, 3)))
			bucket.fates = nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shared(t, func(a, b *agent, bucket *fakeBucket) {
				c, d := a.connect(here), b.connect(here)
				do(c, request("s", 1, 1))
				b.want("2 ok", do(d, request("s", 2, 2)))
				then(a, c, bucket)
				c.Close()
				d.Close()
				a.expire()
				b.expire()
				for i, store := range bucket.stores {
					if len(store.seen) > 0 {
						t.Errorf("agent %d has not forgotten %v", i, store.seen)
					}
				}
			})
		})
	}
}
