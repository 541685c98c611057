package session_test

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// TestWithoutAnExpecter: where no validator knows what must come, step 1 begins a session and
// any other goes on with the one that is due.
func TestWithoutAnExpecter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j := judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Cap: time.Second}},
			judge.Local(judge.Member{Name: "obedient", Validator: obedient{}})))
		a := &agent{TB: t, judge: j, log: &lines{}}
		a.Manager = session.NewManager(j, options, slog.New(a.log))
		for round := range uint64(2) {
			for id := int64(1); id < 10; id++ {
				a.want(ok(id), a.once(here, every(time.Second, step(id))))
				time.Sleep(time.Second)
			}
			a.want("10 ok end", a.once(here, step(10)))
			if got := a.Stats(); got.Completed != round+1 || got.Open != 0 {
				t.Errorf("got %+v", got)
			}
		}
		a.want("1 ok", a.once(here, step(1)))
		a.want("1 ok", a.once(here, step(1)))
		if got := a.Stats().Open; got != 2 {
			t.Errorf("%d sessions are open, want 2", got)
		}
		a.check()
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
