package session_test

import (
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "seed of the first world of TestSimulation; 0 for any")
	simSteps = flag.Int("sim.steps", 0, "number of steps of TestSimulation; 0 for as many as SOAK_PERCENT asks for")
)

// stepsOfWorld is how many steps are sent in one world.
const stepsOfWorld = 100_000

// TestSimulation lets clients perform procedures on virtual time, with a store that refuses, delays,
// conflicts and leaves in doubt, and an agent that is killed, stopped and started. No step counts twice,
// none that was answered is missing, no session goes back, and no client is blamed for the time without
// an agent. SOAK_PERCENT=100 means 10^8 steps.
func TestSimulation(t *testing.T) {
	t.Parallel()
	simulate(t, 100_000_000, newSimulation)
}

// simulate runs worlds that send a number of steps together: full, or what the flags and SOAK_PERCENT ask for.
func simulate(t *testing.T, full int, newWorld func(t *testing.T, seed uint64, steps int) *simulation) {
	steps := soaktest.Repetitions(t, full, 20_000)
	if *simSteps > 0 {
		steps = *simSteps
	}
	seed := *simSeed
	if seed == 0 {
		seed = rand.Uint64()>>1 + 1
	}
	for from := 0; from < steps; from += stepsOfWorld {
		of, n := seed+uint64(from/stepsOfWorld), min(steps-from, stepsOfWorld)
		t.Run(fmt.Sprint("seed=", of), func(t *testing.T) {
			t.Parallel()
			newWorld(t, of, n).run()
		})
	}
}

// A simulation is one world: an agent, its store and its clients, for one goroutine.
type simulation struct {
	*testing.T
	seed    uint64
	steps   int // to send
	sent    int
	random  *rand.Rand
	options session.Options
	clock   *simClock
	store   *fakeStore
	manager *session.Manager
	bucket  *fakeBucket // shared by the agents, instead of store and manager; nil for one agent
	agents  []*simAgent
	clients []*simClient
	names   int       // of clients that there have been
	outage  time.Time // until when the store refuses all
	failed  bool      // a commit has failed; set by fate
	calm    bool      // no faults any more
}

// newSim returns a world without agents and clients.
func newSim(t *testing.T, seed uint64, steps int) *simulation {
	w := &simulation{T: t, seed: seed, steps: steps, random: rand.New(rand.NewPCG(seed, 0)), clock: &simClock{now: time.Now()}}
	w.options = options
	w.options.Steps = 1 + w.random.IntN(12)
	w.options.RememberedReplies = 1 + w.random.IntN(4)
	w.options.ResumeWindow, w.options.IdleTimeout, w.options.TakeoverWait = 30*time.Second, time.Minute, 0
	w.options.OwnerAddress = w.chance(0.3)
	return w
}

func newSimulation(t *testing.T, seed uint64, steps int) *simulation {
	w := newSim(t, seed, steps)
	w.store = newFakeStore()
	w.store.remembered = w.options.RememberedReplies
	w.store.waits = w.chance(0.4)
	w.store.refuses = func() bool {
		refuses := !w.calm && w.chance(0.01)
		w.failed = w.failed || refuses
		return refuses
	}
	w.store.fates = w.fate
	for range 1 + w.random.IntN(16) {
		w.clients = append(w.clients, w.newClient())
	}
	w.start(0)
	return w
}

func (w *simulation) chance(p float64) bool { return w.random.Float64() < p }

// between returns a duration between two.
func (w *simulation) between(from, to time.Duration) time.Duration {
	return from + time.Duration(w.random.Int64N(int64(to-from)+1))
}

// failf reports what is wrong and how to see it again.
func (w *simulation) failf(format string, args ...any) {
	w.Helper()
	w.Fatalf("seed %d, step %d: %s\nto see it again: go test -run Test.*Simulation ./agent/internal/agent/session -sim.seed=%d -sim.steps=%d",
		w.seed, w.sent, fmt.Sprintf(format, args...), w.seed, w.steps)
}

// fate draws what becomes of a commit. A commit may take a while.
func (w *simulation) fate() fate {
	if w.bucket == nil && w.store.waits && w.chance(0.3) {
		w.clock.now = w.clock.now.Add(w.between(0, maxCommit)) // timers wait until later
	}
	fate := w.drawFate()
	w.failed = w.failed || fate != succeeds
	return fate
}

func (w *simulation) drawFate() fate {
	switch p := w.random.Float64(); {
	case w.calm:
		return succeeds
	case w.clock.now.Before(w.outage) || p < 0.02:
		return refused
	case p < 0.025:
		return conflicts
	case p < 0.03:
		return storedInDoubt
	case p < 0.035:
		return lostInDoubt
	case p < 0.037:
		return killedBefore
	case p < 0.039:
		return killedAfter
	default:
		return succeeds
	}
}

// maxCommit is the longest time of a commit.
const maxCommit = 50 * time.Millisecond

func (w *simulation) run() {
	for w.sent < w.steps {
		next := w.clients[0]
		for _, c := range w.clients[1:] {
			if c.acts.Before(next.acts) {
				next = c
			}
		}
		alive := w.survives(func() {
			w.clock.advance(next.acts)
			w.disturb()
		})
		if alive && !next.retired && !next.acts.After(w.clock.now) {
			w.round(next)
		}
	}
	w.end()
}

// round has a client act, and others that are due meanwhile, as an event loop does: the sessions of some are
// stored together.
func (w *simulation) round(first *simClient) {
	w.failed = false
	acting := []*simClient{first}
	alive := first.begin()
	for _, c := range w.clients {
		if w.bucket == nil && alive && c != first && w.chance(0.5) && c.acts.Sub(w.clock.now) < slack/2 {
			acting = append(acting, c)
			alive = c.begin()
		}
	}
	manager := w.manager
	for _, c := range acting {
		if alive {
			alive = c.finish() && w.manager == manager // else it was killed as a session was ended
		} else {
			c.lost(false)
		}
	}
}

// survives calls f and starts the agent again if it is killed meanwhile; then it returns false.
func (w *simulation) survives(f func()) (alive bool) {
	defer func() {
		switch p := recover(); p.(type) {
		case nil:
			alive = true
		case killed:
			if w.bucket != nil {
				w.startDead()
			} else {
				w.restart()
			}
		default:
			w.failf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	f()
	return true
}

// disturb does something to the agent now and then.
func (w *simulation) disturb() {
	if w.bucket != nil {
		w.disturbShared()
		return
	}
	switch p := w.random.Float64(); {
	case p < 0.001:
		w.store.dead = true
		panic(killed{})
	case p < 0.002:
		w.manager.Close()
		w.restart()
	case p < 0.0025 && w.clock.now.Sub(w.outage) > time.Minute:
		w.outage = w.clock.now.Add(w.between(0, 20*time.Second))
	case p < 0.004:
		w.retire(w.clients[w.random.IntN(len(w.clients))])
	}
}

// restart has an agent start again, after a while, on what is stored.
func (w *simulation) restart() {
	away := []time.Duration{0, w.between(0, time.Second), w.between(0, 10*time.Second), w.between(0, 10*time.Minute)}
	w.start(away[w.random.IntN(len(away))])
}

func (w *simulation) start(away time.Duration) {
	stopped := w.clock.now
	w.clock = &simClock{now: stopped.Add(away)}
	times := sessionstore.TimesExact
	if w.chance(0.3) {
		times = sessionstore.TimesByWall + sessionstore.Times(w.random.IntN(2))
	}
	w.store = w.store.reborn(func() bool { return w.chance(0.5) }, w.clock.now, times)
	w.manager = session.NewManagerAt(w.clock, simJudge{w}, w.options, slog.New(slog.DiscardHandler))
	w.manager.Restore(w.store)
	if err := w.manager.Check(); err != nil {
		w.failf("after a start: %v", err)
	}
	for _, c := range w.clients {
		c.restarted(times)
	}
}

// retire replaces a client, which has its session ended by an operator or simply stays away.
func (w *simulation) retire(c *simClient) {
	for i := range w.clients {
		if w.clients[i] != c {
			continue
		}
		c.retired = true
		if c.conn != nil {
			c.conn.Close()
		}
		w.clients[i] = w.newClient()
		if w.chance(0.5) {
			w.survives(func() { w.endSession(c) })
		}
		return
	}
}

// endSession has an operator end the client's session, at each agent that has it.
func (w *simulation) endSession(c *simClient) {
	for _, a := range w.agents {
		a.manager.EndSession(c.id())
	}
	if w.bucket == nil {
		w.manager.EndSession(c.id())
	}
}

// end lets all sessions expire: nothing is left of them.
func (w *simulation) end() {
	w.calm = true
	for _, c := range w.clients {
		if c.conn != nil {
			c.conn.Close()
		}
	}
	if w.bucket != nil {
		w.endShared()
		return
	}
	w.clock.advance(w.clock.now.Add(1000 * time.Hour))
	if left := w.manager.Leftovers(); left != "" {
		w.failf("after all has ended there are still %s", left)
	}
	if keys := w.store.keys(); len(keys) > 0 {
		w.failf("after all has ended the store still has %q", keys)
	}
}
