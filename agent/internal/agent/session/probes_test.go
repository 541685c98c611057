package session_test

import (
	"context"
	"log/slog"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A frank Judge keeps how it was asked.
type frank struct {
	counting
	asked []string
}

func (f *frank) Judge(ctx context.Context, s judge.Session, step judge.Step) judge.Judgement {
	f.ask("Judge", step)
	return f.counting.Judge(ctx, s, step)
}

func (f *frank) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	f.ask("Try", step)
	return f.counting.Try(s, step)
}

func (f *frank) ask(how string, step judge.Step) {
	if step.Fresh {
		how += " fresh"
	}
	f.asked = append(f.asked, how)
}

// TestProbesAskTheValidatorsThemselves: a cached verdict does not show that a validator works. Clients'
// steps are still answered from the cache.
func TestProbesAskTheValidatorsThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &frank{}
		a := &agent{TB: t, Manager: session.NewManager(f, options, slog.New(slog.DiscardHandler))}
		probes := &agent{TB: t, Manager: a.ForProbes()}
		for _, name := range []string{"", "probe"} {
			for range 2 {
				p := probes.connect(here)
				probes.mustNotTry(p, named(name, 1))
				probes.want("1 ok end", doWaiting(p, named(name, 1)))
				probes.want("1 ok end", do(p, named(name, 1)))
				p.Close()
			}
		}
		c := a.connect(here)
		a.want("1 ok", a.mustTry(c, step(1)))
		a.want("2 ok", doWaiting(c, step(2)))
		c.Close()
		var want []string
		for range 8 {
			want = append(want, "Judge fresh")
		}
		if want = append(want, "Try", "Judge"); !reflect.DeepEqual(f.asked, want) {
			t.Errorf("asked by %v, want %v", f.asked, want)
		}
		if got := a.Stats(); got.Passed != 2 || got.Open != 1 {
			t.Errorf("the probes are counted: %+v", got)
		}
		a.check()
		probes.check()
		time.Sleep(time.Minute)
		probes.expire()
		a.expire()
	})
}

// TestProbesFollowASwap: they are judged by the chain in force.
func TestProbesFollowASwap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgentWith(t, "advance", options, everything)
		probes := a.ForProbes()
		c := probes.Connect(session.Peer{})
		for generation := range uint64(3) {
			a.judge.Swap(chain(t, "advance", generation, everything))
			answer := do(c, step(1))
			a.want("1 ok end", answer)
			if got := answer.Trace.Generation; got != generation {
				t.Errorf("judged by generation %d, want %d", got, generation)
			}
		}
		c.Close()
		a.expire()
	})
}
