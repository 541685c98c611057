package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/protocol"
)

// storing returns an agent that keeps its sessions in the store.
func storing(t rapid.TB, store *fakeStore, o session.Options) *agent {
	t.Helper()
	a := newAgent(t, "advance", o)
	a.Restore(store)
	return a
}

// inStoringBubble runs the test on virtual time with such an agent, whose store waits or does not. When
// it ends, the agent's tables must be sound and, once all has expired, tables and store empty.
func inStoringBubble(t *testing.T, test func(a *agent, store *fakeStore)) {
	t.Helper()
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := newFakeStore()
			store.waits = waits
			a := storing(t, store, options)
			test(a, store)
			a.check()
			a.expire()
			if keys := store.keys(); len(keys) > 0 {
				t.Errorf("the store still has %q", keys)
			}
		})
	}
}

// once makes the store deal with the next commit in a way, and with all others as usual.
func (f *fakeStore) once(with fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fates = func() fate {
		f.fates = nil
		return with
	}
}

// TestStoreThatIsAway: the step takes no position and its client is told to send it again.
func TestStoreThatIsAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "bench-7"} {
		for _, before := range []int64{0, 1, 9} { // the first step, another, the last one
			for _, with := range []fate{refused, conflicts} {
				inStoringBubble(t, func(a *agent, store *fakeStore) {
					c := a.connect(here)
					defer c.Close()
					for id := range before {
						a.want(ok(id+1), do(c, named(name, id+1)))
					}
					store.once(with)
					answer := do(c, named(name, before+1))
					a.want(fmt.Sprint(before+1, " busy"), answer)
					if answer.Unknown || answer.Fault != nil || answer.Trace.Position != int(before) {
						a.Errorf("the answer is %+v", answer)
					}
					if with == refused && answer.Reply.Detail != "the session cannot be stored: no space left on device; send the step again later" {
						a.Errorf("the detail is %q", answer.Reply.Detail)
					}
					if got := a.Stats(); got.Undecided != 1 || got.ByReason[protocol.Busy] != 1 || got.Passed != uint64(before) || int64(got.Open) != min(before, 1) {
						a.Errorf("counts %+v", got)
					}
					a.check()
					answer = do(c, named(name, before+1))
					if !answer.Reply.OK() || answer.Reply.End != (before == 9) {
						a.Errorf("sent again: %s", said(answer))
					}
				})
			}
		}
	}
}

// TestStoreInDoubt: the client gets no reply, and the step counts when it is sent again.
func TestStoreInDoubt(t *testing.T) {
	t.Parallel()
	for _, before := range []int64{0, 1} {
		for _, with := range []fate{storedInDoubt, lostInDoubt} {
			inStoringBubble(t, func(a *agent, store *fakeStore) {
				c := a.connect(here)
				for id := range before {
					do(c, request("a", id+1, id+1))
				}
				store.once(with)
				if answer := do(c, request("a", before+1, 7)); !answer.Unknown {
					a.Errorf("the answer is %+v", answer)
				}
				c.Close()
				a.check()
				d := a.connect(here)
				defer d.Close()
				answer := do(d, request("a", before+1, 7))
				a.want(ok(before+1), answer)
				if answer.Trace.Position != int(before)+1 {
					a.Errorf("the step is at position %d", answer.Trace.Position)
				}
			})
		}
	}
}

// TestFirstStepInDoubtIsForgotten: its client may begin anew, after a restart too.
func TestFirstStepInDoubtIsForgotten(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "a"} {
		inStoringBubble(t, func(a *agent, store *fakeStore) {
			store.once(storedInDoubt)
			c := a.connect(here)
			do(c, named(name, 1))
			c.Close()
			if keys := store.keys(); len(keys) > 0 || len(store.forgotten) != 1 {
				a.Errorf("stored are %q, forgotten %q", keys, store.forgotten)
			}
		})
	}
}

// TestTryWithAStore: Try judges and does not wait. Until Stored has, nothing of it is in force, and the turn
// is not given back.
func TestTryWithAStore(t *testing.T) {
	t.Parallel()
	for _, waits := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := newFakeStore()
			store.waits = waits
			a := newAgentWith(t, "advance", options, everything)
			a.Restore(store)
			c, d, same := a.connect(here), a.connect(there), a.connect(there)
			defer c.Close()
			defer d.Close()
			defer same.Close()
			for n := range int64(3) {
				a.mustJudge(c, request("a", n+1, n+1))
				a.mustJudge(d, request("b", n+1, n+1))
				a.mustNotTry(same, request("a", n+1, n+1))
				if view, _ := a.View("a"); store.commits != int(2*n) || view.Position != int(n) {
					t.Errorf("%d commits, position %d after %d steps", store.commits, view.Position, n)
				}
				fate := []fate{succeeds, refused, succeeds}[n]
				if store.once(fate); fate == refused {
					a.want("2 busy", a.stored(d))
					a.want("2 busy", a.stored(c))
					a.mustJudge(c, request("a", 2, 2))
					a.mustJudge(d, request("b", 2, 2))
				}
				a.want(ok(n+1), a.stored(d))
				a.want(ok(n+1), a.stored(c))
			}
			store.refuses = func() bool { return true }
			a.want("4 busy", a.mustTry(c, request("a", 4, 4)))
			store.refuses = nil
			if waits {
				a.mustNotTry(c, request("a", 3, 3))
			} else {
				a.want("3 ok replayed", a.mustTry(c, request("a", 3, 3)))
			}
			a.check()
		})
	}
}

// mustJudge has Try judge a request, and leave the rest to stored.
func (a *agent) mustJudge(c *session.Conn, req protocol.Request) {
	a.Helper()
	if answer, progress := c.Try(req, time.Now()); progress != session.Judged {
		a.Errorf("step %d of %q: %d, %s", req.StepID, req.Session, progress, said(answer))
	}
}

func (a *agent) stored(c *session.Conn) session.Answer {
	answer, _, _ := c.Stored(context.Background())
	return answer
}

// TestUndecidedIsNotStored, nor is a reply from the cache, unless the gap counts anew with it.
func TestUndecidedIsNotStored(t *testing.T) {
	t.Parallel()
	inStoringBubble(t, func(a *agent, store *fakeStore) {
		c := a.connect(here)
		defer c.Close()
		req := request("a", 1, 1)
		req.Data = order{Undecided: true}.data()
		do(c, req)
		if store.commits != 0 {
			a.Errorf("%d commits", store.commits)
		}
		do(c, request("a", 1, 1))
		do(c, request("a", 2, 2))
		a.want("1 ok replayed", do(c, request("a", 1, 1)))
		if store.commits != 2 {
			a.Errorf("%d commits, want 2", store.commits)
		}
		a.want("2 ok replayed", do(c, request("a", 2, 2)))
		if store.commits != 3 {
			a.Errorf("%d commits, want 3", store.commits)
		}
	})
}

// TestEndIsStored: a name keeps its replies, and all else is forgotten.
func TestEndIsStored(t *testing.T) {
	t.Parallel()
	inStoringBubble(t, func(a *agent, store *fakeStore) {
		c := a.connect(here)
		do(c, request("idle", 1, 1))
		do(c, request("ended", 1, 1))
		do(c, step(1))
		c.Close()
		for id := range int64(10) {
			a.once(here, request("done", id+1, id+1))
		}
		if got := store.keys(); len(got) != 4 {
			a.Errorf("stored are %q", got)
		}
		if !a.EndSession("ended") {
			a.Error("there was no session to end")
		}
		time.Sleep(options.ResumeWindow + time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"done", "idle"}, store.keys()); diff != "" {
			a.Errorf("stored, want - got +\n%s", diff)
		}
		for _, key := range store.keys() {
			if k := store.live[key]; !k.record.Ended || len(k.replies) == 0 {
				a.Errorf("%s is stored as %+v", key, k)
			}
		}
	})
}

// TestEndThatCannotBeStored ends the session all the same.
func TestEndThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*agent){
		"expired":         func(*agent) { time.Sleep(options.ResumeWindow + time.Second) },
		"by the operator": func(a *agent) { a.EndSession("ends") },
	} {
		t.Run(name, func(t *testing.T) {
			inStoringBubble(t, func(a *agent, store *fakeStore) {
				a.once(here, request("ends", 1, 1))
				store.once(refused)
				end(a)
				synctest.Wait()
				if got := a.Stats(); got.Incomplete != 1 || got.Open != 0 {
					a.Errorf("counts %+v", got)
				}
				for _, line := range a.log.kept {
					if strings.HasPrefix(line.text, "end of a session not stored") && line.level == slog.LevelWarn {
						return
					}
				}
				a.Error("the log does not say that the end is not stored")
			})
		})
	}
}

// TestWaitForTheStoreIsNotTheClients: the gap counts from when the step is stored, also when it is sent again.
func TestWaitForTheStoreIsNotTheClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(false, doWaiting)
		p.Restore(slowStore{newFakeStore()})
		p.send(request("a", 1, 1))
		time.Sleep(time.Second)
		if got := p.send(request("a", 2, 2)); got.Duration != time.Second {
			t.Errorf("gap %v, want 1 s", got)
		}
		p.send(request("a", 2, 2))
		time.Sleep(time.Second)
		if got := p.send(request("a", 3, 3)); got.Duration != time.Second {
			t.Errorf("gap %v after a reply that was given again, want 1 s", got)
		}
		p.hangUp()
	})
}

// A slowStore takes three seconds for each commit.
type slowStore struct{ *fakeStore }

func (s slowStore) Waits() bool { return true }

func (s slowStore) Wait(ctx context.Context, c sessionstore.Commit) (sessionstore.Revision, error) {
	time.Sleep(3 * time.Second)
	return s.fakeStore.Wait(ctx, c)
}

// TestCloseSuspends: with a store nothing ends; log and record say what goes on.
func TestCloseSuspends(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, to := newFakeStore(), &recordedEvents{}
		o := options
		o.Recorder = to
		a := storing(t, store, o)
		c := a.connect(here)
		do(c, request("a", 1, 1))
		do(c, step(1))
		do(c, step(2))
		c.Close()
		before := store.keys()
		a.Manager.Close()
		a.Manager.Close() // once more does no harm
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		if diff := cmp.Diff(before, store.keys()); diff != "" || len(before) != 2 {
			t.Errorf("stored, before - after +\n%s", diff)
		}
		if ends := a.log.ends(); len(ends) > 0 {
			t.Errorf("%d sessions are said to have ended", len(ends))
		}
		if last := a.log.kept[len(a.log.kept)-1].text; last != "sessions go on when the agent is back sessions=2" {
			t.Errorf("the log says %q", last)
		}
		if got := to.of(auditlog.KindSuspended); len(got) != 2 {
			t.Errorf("%d suspended sessions are recorded", len(got))
		}
		o.Recorder = to
		b := storing(t, store.reborn(func() bool { return true }, time.Now(), sessionstore.TimesExact), o)
		if got := to.of(auditlog.KindResumed); len(got) != 2 || got["a"].Steps != 1 || got["a"].Verdict != "" {
			t.Errorf("resumed are %v", got)
		}
		b.expire()
	})
}

// recordedEvents keeps the sessions of events.
type recordedEvents struct {
	mu  sync.Mutex
	all []auditlog.Event
}

func (r *recordedEvents) Record(e auditlog.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, e)
}

func (r *recordedEvents) of(kind auditlog.Kind) map[string]auditlog.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	sessions := map[string]auditlog.Session{}
	for _, e := range r.all {
		if e.Kind == kind {
			sessions[e.Session.Session] = *e.Session
		}
	}
	return sessions
}
