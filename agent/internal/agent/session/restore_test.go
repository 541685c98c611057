package session_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/plugins/validator"
)

// kill ends the agent as SIGKILL does, and starts another on what is stored, after a while.
func (a *agent) kill(store *fakeStore, o session.Options, away time.Duration) (*agent, *fakeStore) {
	a.Helper()
	store.mu.Lock()
	store.dead = true
	store.mu.Unlock()
	time.Sleep(away)
	next := store.reborn(func() bool { return true }, time.Now(), sessionstore.TimesExact)
	b := storing(a.TB, next, o)
	b.ports.Store(a.ports.Load())
	b.check()
	return b, next
}

// inRestarts runs a test on virtual time with an agent that stores its sessions, and the test ends with
// another agent.
func inRestarts(t *testing.T, o session.Options, test func(a *agent, store *fakeStore) (*agent, *fakeStore)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		a, left := test(storing(t, store, o), store)
		a.check()
		a.expire()
		if keys := left.keys(); len(keys) > 0 {
			t.Errorf("the store still has %q", keys)
		}
	})
}

// TestRestore: sessions go on, with their position, expectation, validators' states, counts and replies.
func TestRestore(t *testing.T) {
	t.Parallel()
	inRestarts(t, options, func(a *agent, store *fakeStore) (*agent, *fakeStore) {
		c, d := a.connectAs("ada", here), a.connect(there)
		a.want("1 ok", do(c, request("a", 1, 1)))
		a.want("7 out_of_order", do(c, request("a", 7, 2)))
		a.want("3 ok", do(c, request("a", 3, 3)))
		a.want("1 ok", do(d, step(1)))
		a.want("2 ok", do(d, every(time.Minute, step(2))))
		for id := range int64(10) {
			do(d, request("done", id+1, id+1))
		}
		began := byID(a.Views())
		for id, v := range began {
			if v.Restored || v.Expects == nil || *v.Expects != int64(v.Position)+1 {
				a.Errorf("before: %s is %+v", id, v)
			}
		}

		b, next := a.kill(store, options, 5*time.Second)
		if got := b.Stats(); got.Open != 2 || got.Restored != 2 || got.Passed != 0 {
			b.Errorf("counts %+v", got)
		}
		after := byID(b.Views())
		for id, v := range began {
			got := after[id]
			v.Restored, v.Idle = true, v.Idle+5*1e9
			if diff := cmp.Diff(v, got); diff != "" {
				b.Errorf("%s, before - after +\n%s", id, diff)
			}
		}
		if last := b.log.kept[0].text; last != "sessions restored sessions=2 names_without_session=1" {
			b.Errorf("the log says %q", last)
		}
		c, d = b.connectAs("ada", here), b.connect(there)
		defer c.Close()
		defer d.Close()
		b.want("7 out_of_order replayed", do(c, request("a", 7, 2)))
		b.want("4 ok", do(c, request("a", 4, 4)))
		b.want("3 ok", doWaiting(d, step(3)))
		b.want("10 ok end replayed", do(d, request("done", 10, 10)))
		b.want("1 ok", do(d, request("done", 1, 11)))
		b.want("9 ok replayed", do(d, request("done", 9, 9)))
		if got := b.ids(); !slices.Contains(got, "done") || len(got) != 3 {
			b.Errorf("open are %q", got)
		}
		b.want("1 ok", b.once(there, step(1)))
		if got := b.ids(); len(got) != 4 {
			b.Errorf("a new nameless session has an id of before: %q", got)
		}
		return b, next
	})
}

// TestRestoredDeadlines: a client gets at least the resume window, counted from when the agent is back,
// however long that was away, and no more than another client after its due time.
func TestRestoredDeadlines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ interval, away, ends time.Duration }{
		"at once":          {0, 0, options.ResumeWindow},
		"away for long":    {0, time.Hour, options.ResumeWindow},
		"not yet due":      {time.Minute, 20 * time.Second, 40*time.Second + options.ResumeWindow},
		"due meanwhile":    {time.Minute, 2 * time.Hour, options.ResumeWindow},
		"a long interval":  {3 * time.Hour, time.Hour, options.LongestInterval + options.ResumeWindow},
		"due at that time": {time.Minute, time.Minute, options.ResumeWindow},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, name := range []string{"a", ""} {
				inRestarts(t, options, func(a *agent, store *fakeStore) (*agent, *fakeStore) {
					a.once(here, every(test.interval, named(name, 1)))
					b, next := a.kill(store, options, test.away)
					time.Sleep(test.ends - time.Millisecond)
					synctest.Wait()
					if b.Stats().Open != 1 {
						b.Errorf("the session of %q has ended early", name)
					}
					time.Sleep(2 * time.Millisecond)
					synctest.Wait()
					if b.Stats().Open != 0 {
						b.Errorf("the session of %q is still open", name)
					}
					return b, next
				})
			}
		})
	}
}

// TestRestoredRepliesStay for the resume window at least, though their time was over long ago.
func TestRestoredRepliesStay(t *testing.T) {
	t.Parallel()
	inRestarts(t, options, func(a *agent, store *fakeStore) (*agent, *fakeStore) {
		for id := range int64(10) {
			a.once(here, request("a", id+1, id+1))
		}
		b, next := a.kill(store, options, time.Hour)
		time.Sleep(options.ResumeWindow - time.Millisecond)
		b.want("10 ok end replayed", b.once(here, request("a", 10, 10)))
		return b, next
	})
}

// TestRestoreBeyondTheLimits keeps what is open, and begins nothing new.
func TestRestoreBeyondTheLimits(t *testing.T) {
	t.Parallel()
	inRestarts(t, options, func(a *agent, store *fakeStore) (*agent, *fakeStore) {
		for n := range 5 {
			a.once(here, request(fmt.Sprint("open-", n), 1, 1))
			for id := range int64(10) {
				a.once(here, request(fmt.Sprint("done-", n), id+1, id+1))
			}
		}
		few := options
		few.MaxOpen, few.RememberedBytes = 3, 8*session.ReplyBytes
		b, next := a.kill(store, few, time.Second)
		if got := b.Stats(); got.Open != 5 || got.RememberedBytes > few.RememberedBytes {
			b.Errorf("counts %+v", got)
		}
		b.want("1 busy", b.once(here, request("another", 1, 1)))
		b.want("2 ok", b.once(here, request("open-3", 2, 2)))
		return b, next
	})
}

// TestGapAfterARestart: the gap is that of the client where the agent was back before the client was due,
// and else unknown. No step is at an earlier time of its session than the last one.
func TestGapAfterARestart(t *testing.T) {
	t.Parallel()
	const interval = 10 * time.Second
	known := validator.Wait{Duration: 12 * time.Second, Declared: true}
	for name, test := range map[string]struct {
		back, comes time.Duration // after the reply
		times       sessionstore.Times
		want        validator.Wait
		at          time.Duration
	}{
		"back before it was due":      {9 * time.Second, 12 * time.Second, sessionstore.TimesExact, known, 15 * time.Second},
		"back when it was due":        {interval, 12 * time.Second, sessionstore.TimesExact, known, 15 * time.Second},
		"back later":                  {11 * time.Second, 12 * time.Second, sessionstore.TimesExact, validator.Wait{}, 15 * time.Second},
		"after a reboot":              {9 * time.Second, 12 * time.Second, sessionstore.TimesByWall, validator.Wait{}, 15 * time.Second},
		"at a time that is not known": {9 * time.Second, 12 * time.Second, sessionstore.TimesUnknown, validator.Wait{}, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := newFakeStore()
				p := newPacer(false, do)
				p.Restore(store)
				p.send(named("a", 1))
				time.Sleep(3 * time.Second)
				p.send(every(interval, named("a", 2)))
				p.hangUp()
				time.Sleep(test.back)
				q := newPacer(false, do)
				q.Restore(store.reborn(nil, time.Now(), test.times))
				time.Sleep(test.comes - test.back)
				if got := q.send(named("a", 3)); got != test.want {
					t.Errorf("gap %v, want %v", got, test.want)
				}
				if q.at != test.at {
					t.Errorf("at %v of the session, want %v", q.at, test.at)
				}
				time.Sleep(time.Second)
				if got := q.send(named("a", 4)); got != (validator.Wait{Duration: time.Second, Declared: true}) {
					t.Errorf("the gap after that is %v", got)
				}
				q.hangUp()
			})
		})
	}
}

// TestGapAfterAReplyGivenAgain: the client that got its reply only after a restart waits from then on,
// and another restart does not change that.
func TestGapAfterAReplyGivenAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		p := newPacer(false, do)
		p.Restore(store)
		first := every(10*time.Second, request("a", 1, 1))
		p.send(first)
		p.hangUp()
		time.Sleep(4 * time.Second)
		store = store.reborn(nil, time.Now(), sessionstore.TimesExact)
		q := newPacer(false, do)
		q.Restore(store)
		q.send(first)
		q.hangUp()
		time.Sleep(time.Second)
		r := newPacer(false, do)
		r.Restore(store.reborn(nil, time.Now(), sessionstore.TimesExact))
		time.Sleep(9 * time.Second)
		if got := r.send(request("a", 2, 2)); got != (validator.Wait{Duration: 10 * time.Second, Declared: true}) {
			t.Errorf("gap %v, want 10 s", got)
		}
		r.hangUp()
	})
}

// TestNoStepIsEarlierThanTheLast: where the clock has gone back, At does not.
func TestNoStepIsEarlierThanTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		p := newPacer(false, do)
		p.Restore(store)
		p.send(named("a", 1))
		time.Sleep(50 * time.Second)
		p.send(named("a", 2))
		p.hangUp()
		next := store.reborn(nil, time.Now(), sessionstore.TimesByWall)
		next.found[0].Began = time.Now().Add(time.Hour)
		q := newPacer(false, do)
		q.Restore(next)
		if q.send(named("a", 3)); q.at != 50*time.Second {
			t.Errorf("at %v, want 50 s", q.at)
		}
		q.hangUp()
	})
}

// TestNamelessSessionThatHadEnded is not there again.
func TestNamelessSessionThatHadEnded(t *testing.T) {
	t.Parallel()
	inRestarts(t, options, func(a *agent, store *fakeStore) (*agent, *fakeStore) {
		c := a.connect(here)
		for id := range int64(10) {
			do(c, step(id+1))
		}
		store.mu.Lock()
		store.dead = true
		store.mu.Unlock()
		next := store.reborn(func() bool { return false }, time.Now(), sessionstore.TimesExact) // what was forgotten is still there
		b := storing(a.TB, next, options)
		b.ports.Store(a.ports.Load())
		if got := b.Stats(); got.Open != 0 || got.Restored != 0 || len(next.keys()) != 0 {
			b.Errorf("counts %+v, stored %q", got, next.keys())
		}
		return b, next
	})
}
