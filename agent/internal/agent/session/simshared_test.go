package session_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// A simAgent is one of several agents that share a bucket.
type simAgent struct {
	manager *session.Manager
	store   *bucketStore
}

// TestSharedSimulation is TestSimulation with several agents that share a store: clients go from one to
// another at any time, and what one agent has sent to the store may arrive when another has gone on.
// SOAK_PERCENT=100 means 10^7 steps.
func TestSharedSimulation(t *testing.T) {
	t.Parallel()
	simulate(t, 10_000_000, newSharedSimulation)
}

func newSharedSimulation(t *testing.T, seed uint64, steps int) *simulation {
	w := newSim(t, seed, steps)
	bucket := newFakeBucket()
	bucket.remembered, bucket.fates = w.options.RememberedReplies, w.fate
	w.bucket = bucket
	w.agents = make([]*simAgent, 2+w.random.IntN(2))
	for i := range w.agents {
		w.startShared(i)
	}
	for range 1 + w.random.IntN(16) {
		w.clients = append(w.clients, w.newClient())
	}
	return w
}

// startShared starts an agent.
func (w *simulation) startShared(i int) {
	a := &simAgent{session.NewManagerAt(w.clock, simJudge{w}, w.options, slog.New(slog.DiscardHandler)), w.bucket.open()}
	a.manager.Restore(a.store)
	for _, c := range w.clients {
		if w.agents[i] != nil && c.agent == w.agents[i] {
			c.conn, c.agent = nil, nil
			if back := w.clock.now.Add(w.between(0, time.Second)); c.acts.Before(back) {
				c.acts = back
			}
		}
	}
	w.agents[i] = a
}

// startDead starts again what was killed.
func (w *simulation) startDead() {
	for i, a := range w.agents {
		if a.store.dead {
			w.startShared(i)
		}
	}
}

// disturbShared does something to one of the agents now and then.
func (w *simulation) disturbShared() {
	i := w.random.IntN(len(w.agents))
	switch p := w.random.Float64(); {
	case p < 0.001:
		w.agents[i].store.dead = true
		panic(killed{})
	case p < 0.002:
		w.agents[i].manager.Close()
		w.startShared(i)
	case p < 0.0025 && w.clock.now.Sub(w.outage) > time.Minute:
		w.outage = w.clock.now.Add(w.between(0, 20*time.Second))
	case p < 0.004:
		w.retire(w.clients[w.random.IntN(len(w.clients))])
	case p < 0.3:
		w.bucket.arrive()
	}
}

// endShared lets all sessions expire at all agents.
func (w *simulation) endShared() {
	for i, a := range w.agents {
		if err := a.manager.Check(); err != nil {
			w.failf("agent %d: %v", i, err)
		}
	}
	w.clock.advance(w.clock.now.Add(1000 * time.Hour))
	for i, a := range w.agents {
		if left := a.manager.Leftovers(); left != "" {
			w.failf("after all has ended, agent %d still has %s", i, left)
		}
		if len(a.store.seen) > 0 {
			w.failf("after all has ended, agent %d has not forgotten %v", i, a.store.seen)
		}
	}
}
