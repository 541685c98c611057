package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

const (
	// killsAbsence is how long an agent stays away at times: longer than killsTolerance, so that
	// pacing would blame the clients for it if the agent let it.
	killsAbsence   = 2500 * time.Millisecond
	killsTolerance = 2 // seconds
)

// TestKills ends an agent with durable sessions in every way and starts it again, while clients
// perform procedures and send again what got no reply. Every verdict is compared to a model: no
// step that was acknowledged is missing or judged twice, and no client is blamed for the agent's
// absence. In full it is 10,000 times SIGKILL, at instants that the load decides.
func TestKills(t *testing.T) {
	t.Parallel()
	k := newKills(t)
	k.begin(k.agent.address())
	k.disturb()
	k.end()
	k.report()
}

// kills is an agent whose process ends again and again, and its clients.
type kills struct {
	agent  *agentProcess
	port   string
	dir    string // of the sessions
	random *rand.Rand

	killsClients

	killed, stopped int // agents
	plugins         int // killed
	starts          []time.Duration
}

func newKills(t *testing.T) *kills {
	port, err := freeport.Free()
	if err != nil {
		t.Fatal(err)
	}
	k := &kills{port: port, dir: filepath.Join(t.TempDir(), "sessions"), random: rand.New(rand.NewPCG(17, 17)), killsClients: newKillsClients(t)}
	k.agent = newAgent(t, "")
	k.agent.port = port
	k.start()
	k.serves()
	return k
}

// start starts the agent. One of five times its sessions are to survive a power cut too: levels may
// change between starts.
func (k *kills) start() {
	k.t.Helper()
	level := "restart"
	if k.random.IntN(5) == 0 {
		level = "power_cut"
	}
	k.agent.configure(fmt.Sprintf(`
port = %s
[session]
steps = %d
survives = %q
dir = %q
[[validators]]
name = "sequence"
settings = { after_bad_step = "hold" }
[[validators]]
name = "min_timeout"
settings = { seconds = %d }
[[validators]]
name = "pacing"
settings = { tolerance_seconds = %d }
`, k.port, soakSteps, level, k.dir, soakSeconds, killsTolerance))
	k.launch()
}

func (k *kills) launch() {
	k.t.Helper()
	k.agent.stderr = &lockedBuffer{}
	k.agent.begin(k.agent.command("serve", "--config", k.agent.configFile(), "--log-format", "json"))
}

// serves waits until the agent that has been started accepts connections.
func (k *kills) serves() {
	k.t.Helper()
	began := time.Now()
	for k.agent.started() == "" {
		select {
		case err := <-k.agent.done:
			k.t.Fatalf("the agent does not start: %v\n%s", err, tail(k.agent.stderr.String()))
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(began) > patience {
			k.t.Fatalf("the agent does not start\n%s", tail(k.agent.stderr.String()))
		}
	}
	k.starts = append(k.starts, time.Since(began))
}

// disturb ends the agent in every way, in a random order.
func (k *kills) disturb() {
	k.t.Helper()
	var all []func()
	for _, kind := range []struct {
		full, usual int
		do          func()
	}{
		{8500, 3, k.kill},
		{700, 1, k.killWithPlugin},
		{700, 1, k.killStarting},
		{100, 1, k.killForLonger},
		{400, 1, k.stop},
		{200, 1, k.killStopping},
		{300, 1, k.killPlugin},
	} {
		all = append(all, slices.Repeat([]func(){kind.do}, soaktest.Repetitions(k.t, kind.full, kind.usual))...)
	}
	k.random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	progress := time.Now()
	for i, do := range all {
		k.steps(k.random.Int64N(4 * killsClientCount))
		time.Sleep(time.Duration(k.random.IntN(2000)) * time.Microsecond)
		do()
		if k.t.Failed() {
			k.t.Fatalf("after %d disturbances; the agent's log:\n%s", i, tail(k.log()))
		}
		if time.Since(progress) > 10*time.Second {
			progress = time.Now()
			k.t.Logf("%d of %d disturbances, %d steps", i, len(all), k.judged.Load())
		}
	}
	k.steps(10 * killsClientCount)
}

func (k *kills) log() string { return k.agent.stderr.String() }

// end lets the clients finish their sessions. Then none is open, and none is found at another start.
func (k *kills) end() {
	k.t.Helper()
	k.finish()
	for range 2 {
		if n := k.agent.status().Sessions.Open; n != 0 {
			k.t.Errorf("%d sessions are open after their last step", n)
		}
		k.agent.signal(syscall.SIGTERM)
		k.ended(0)
		k.start()
		k.serves()
	}
	k.agent.signal(syscall.SIGTERM)
	k.ended(0)
}

func (k *kills) report() {
	slices.Sort(k.starts)
	at := func(percent int) time.Duration {
		return k.starts[(len(k.starts)-1)*percent/100].Round(time.Millisecond)
	}
	k.t.Logf("%d times SIGKILL and %d times SIGTERM for the agent, %d times SIGKILL for a plugin alone", k.killed, k.stopped, k.plugins)
	k.killsClients.report()
	k.t.Logf("from a start to the first connection: p50 %v, p99 %v, max %v", at(50), at(99), at(100))
}
