package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

const (
	soakSessions = 200 // at a time
	soakPerSec   = 1250
)

// TestSoak disturbs an agent in every way while clients run, and compares every verdict to a
// model: none is lost, none differs, none is given twice. Afterwards nothing is left. In full the
// disturbances are 300 kills and 100 stops of a plugin's process, 300 reloads that swap two chains and
// 100 with a config that is wrong, and the figures must be good as well, which takes a machine with
// nothing else to do.
func TestSoak(t *testing.T) {
	soaktest.Only(t)
	percent := soaktest.Percent(t)
	measured := percent >= 100
	s := newSoak(t)
	before := s.warm()
	s.start()
	s.disturb(percent)
	s.end()
	if rate := s.rate(); measured && rate < 1000 {
		t.Errorf("%.0f steps a second, want 1000 at least", rate)
	}
	if n := s.lateRecoveries(100 * time.Millisecond); measured && 100*n > len(s.recoveries) {
		t.Errorf("%d of %d crashes cost more than 100 ms", n, len(s.recoveries))
	}
	s.report()
	s.compare(before)
	s.checkCounts()
	s.checkLog()
	s.stop()
}

// A soak is an agent under load.
type soak struct {
	t        *testing.T
	agent    *agentProcess
	chains   [2]string // configs
	inForce  int
	noPlugin string // a program that is none
	random   *rand.Rand

	began   time.Time
	took    time.Duration
	halt    chan struct{}
	clients sync.WaitGroup
	judged  atomic.Int64
	unknown atomic.Int64 // steps that could not be judged and were sent again
	probe   *soakClient

	mu     sync.Mutex
	models map[string]model // of finished sessions

	recoveries, wakes, reloads []time.Duration
	generation                 uint64
}

func newSoak(t *testing.T) *soak {
	const chain = `
[session]
steps = %d
[[validators]]
name = "sequence"
settings = { after_bad_step = "hold" }
%s
[[validators]]
name = "min_timeout"
settings = { seconds = %d }
`
	s := &soak{t: t, halt: make(chan struct{}), models: map[string]model{}, random: rand.New(rand.NewPCG(7, 7)), generation: 1}
	s.chains = [2]string{fmt.Sprintf(chain, soakSteps, "", soakSeconds),
		fmt.Sprintf(chain, soakSteps, fmt.Sprintf("path = %q", testPlugin(t)), soakSeconds)}
	s.noPlugin = filepath.Join(t.TempDir(), "no-plugin")
	if err := os.WriteFile(s.noPlugin, []byte("#!/bin/sh\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s.agent = startAgent(t, s.chains[0])
	return s
}

// warm has the agent do once what is done again and again later, so that what is made with
// the first of a kind, and stays, does not look like a leak; it returns what there is then.
func (s *soak) warm() traces {
	s.t.Helper()
	c, err := newSoakClient(s, soakSessions)
	if err != nil {
		s.t.Fatal(err)
	}
	for range 2 {
		if err := c.perform(fmt.Sprintf("warm-%d", s.inForce), func() {}); err != nil {
			s.t.Fatal(err)
		}
		s.swap()
	}
	if err := c.conn.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.reloads = nil
	waitFor(s.t, "the warming client to be gone", func() bool { return s.agent.status().Connections.Open == 0 })
	return s.traces()
}

// start lets the clients begin. Together they send so many steps a second, each at a time of
// its own.
func (s *soak) start() {
	s.began = time.Now()
	const interval = soakSessions * time.Second / soakPerSec
	for n := range soakSessions {
		c, err := newSoakClient(s, uint64(n))
		if err != nil {
			s.t.Fatal(err)
		}
		s.clients.Go(func() {
			defer func() { _ = c.conn.Close() }()
			next := s.began.Add(time.Duration(n) * interval / soakSessions)
			for round := 0; ; round++ {
				select {
				case <-s.halt:
					return
				default:
				}
				err := c.perform(fmt.Sprintf("soak-%d-%d", n, round), func() {
					time.Sleep(time.Until(next))
					next = next.Add(interval)
				})
				if err != nil {
					s.t.Error(err)
					return
				}
			}
		})
	}
	var err error
	if s.probe, err = newSoakClient(s, soakSessions); err != nil {
		s.t.Fatal(err)
	}
}

func (s *soak) finished(session string, m model) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models[session] = m
}

// disturb carries out the disturbances in a random order.
func (s *soak) disturb(percent int) {
	var all []func()
	for _, kind := range []struct {
		count int
		do    func()
	}{{300, s.kill}, {100, s.freeze}, {300, s.swap}, {100, s.refused}} {
		all = append(all, slices.Repeat([]func(){kind.do}, (kind.count*percent+99)/100)...)
	}
	s.random.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	progress := time.Now()
	for i, do := range all {
		s.steps(int64(20 + s.random.IntN(100)))
		do()
		if s.t.Failed() {
			s.t.Fatalf("after %d disturbances; the agent's log:\n%s", i, tail(s.agent.stderr.String()))
		}
		if time.Since(progress) > 10*time.Second {
			progress = time.Now()
			s.t.Logf("%d of %d disturbances, %d steps", i, len(all), s.judged.Load())
		}
	}
	if s.inForce != 0 {
		s.swap()
	}
	s.steps(2 * soakSessions)
}

// steps waits for some more steps.
func (s *soak) steps(n int64) {
	s.t.Helper()
	goal := s.judged.Load() + n
	waitFor(s.t, "more steps", func() bool { return s.judged.Load() >= goal || s.t.Failed() })
}

// victim returns one of the plugins' processes.
func (s *soak) victim() int {
	var pids []int
	waitFor(s.t, "every process to serve", func() bool {
		pids = nil
		for _, v := range s.agent.status().Validators {
			if v.PID == 0 {
				return false
			}
			pids = append(pids, v.PID)
		}
		return true
	})
	return pids[s.random.IntN(len(pids))]
}

// verdict performs a session of its own, whose first step tells when verdicts come again.
func (s *soak) verdict(number int) time.Time {
	s.t.Helper()
	m := &model{next: 1}
	session := fmt.Sprintf("probe-%d", number)
	if err := s.probe.step(session, m); err != nil {
		s.t.Errorf("session %s: %v", session, err)
	}
	first := time.Now()
	for m.judged < soakSteps {
		if err := s.probe.step(session, m); err != nil {
			s.t.Errorf("session %s: %v", session, err)
			return first
		}
	}
	s.finished(session, *m)
	return first
}

func (s *soak) kill() {
	pid := s.victim()
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.t.Error(err)
	}
	for alive(pid) { // a dying process may still answer
		time.Sleep(100 * time.Microsecond)
	}
	s.recoveries = append(s.recoveries, s.verdict(len(s.recoveries)).Sub(began))
}

func (s *soak) freeze() {
	pid := s.victim()
	began := time.Now()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		s.t.Error(err)
	}
	s.wakes = append(s.wakes, s.verdict(-1-len(s.wakes)).Sub(began))
}

func (s *soak) swap() {
	s.inForce = 1 - s.inForce
	s.agent.configure(s.chains[s.inForce])
	began := time.Now()
	if err := s.agent.reload(); err != nil {
		s.t.Error(err)
	}
	s.reloads = append(s.reloads, time.Since(began))
	s.generation++
	s.inGeneration()
}

// refused has the agent read a config that is wrong, in one way or another.
func (s *soak) refused() {
	validator := func(more string) string { return "[[validators]]\nname = \"sequence\"\n" + more + "\n" }
	wrong := [][2]string{
		{"", "the file is empty"},
		{"prot = 1\n", "prot"},
		{validator(`path = "/none"`), "there is no file /none"},
		{validator(fmt.Sprintf("path = %q", s.noPlugin)), "ended before it was ready (exit status 3)"},
		{validator("settings = { after_bad_step = 1 }"), "after_bad_step"},
		{validator(fmt.Sprintf("path = %q\nchecksum = \"sha256:%064d\"", s.noPlugin, 0)), "the config expects sha256:000"},
	}[s.random.IntN(6)]
	s.agent.configure(wrong[0])
	if err := s.agent.reload(); err == nil || !strings.Contains(err.Error(), wrong[1]) {
		s.t.Errorf("a reload with %q: %v", wrong[0], err)
	}
	s.inGeneration()
	s.agent.configure(s.chains[s.inForce])
}

func (s *soak) inGeneration() {
	if g := s.agent.status().Generation; g != s.generation {
		s.t.Errorf("generation %d is in force, want %d", g, s.generation)
	}
}

// end lets the clients finish their sessions.
func (s *soak) end() {
	close(s.halt)
	s.clients.Wait()
	s.took = time.Since(s.began)
	_ = s.probe.conn.Close()
}

func (s *soak) rate() float64 { return float64(s.judged.Load()) / s.took.Seconds() }

func (s *soak) lateRecoveries(limit time.Duration) (n int) {
	for _, d := range s.recoveries {
		if d > limit {
			n++
		}
	}
	return n
}

func (s *soak) report() {
	s.t.Logf("%d steps in %v (%.0f a second), %d sessions; %d steps could not be judged and were sent again",
		s.judged.Load(), s.took.Round(time.Second), s.rate(), len(s.models), s.unknown.Load())
	for _, figures := range []struct {
		what string
		all  []time.Duration
	}{
		{"from SIGKILL to the next verdict", s.recoveries},
		{"from SIGSTOP to the next verdict", s.wakes},
		{"stepagent reload", s.reloads},
	} {
		slices.Sort(figures.all)
		at := func(percent int) time.Duration {
			return figures.all[(len(figures.all)*percent+99)/100-1].Round(100 * time.Microsecond)
		}
		s.t.Logf("%s, %d times: p50 %v, p90 %v, p99 %v, max %v", figures.what, len(figures.all), at(50), at(90), at(99), at(100))
	}
}

// traces are what an agent holds of the machine.
type traces struct {
	Files, Goroutines, Processes, Zombies, Sockets int
}

func (s *soak) traces() traces {
	s.t.Helper()
	pid := s.agent.cmd.Process.Pid
	found := traces{Goroutines: s.agent.status().Goroutines} // which also waits for checksums
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		s.t.Fatal(err)
	}
	found.Files = len(files)
	sockets, _ := filepath.Glob(filepath.Join(s.agent.dir, "plugins", "*", "*", "*")) // the pattern is sound
	found.Sockets = len(sockets)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // it has just ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			found.Processes++
			if f[0] == "Z" {
				found.Zombies++
			}
		}
	}
	return found
}

// compare waits until the agent holds no more than it did before.
func (s *soak) compare(before traces) {
	s.t.Helper()
	var now traces
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		now = s.traces()
		if now.Files <= before.Files && now.Goroutines <= before.Goroutines &&
			now.Processes <= before.Processes && now.Zombies == 0 && now.Sockets <= before.Sockets {
			return
		}
		if time.Now().After(deadline) {
			s.agent.signal(syscall.SIGQUIT) // the runtime tells what each goroutine does
			_ = s.agent.wait()
			s.t.Fatalf("%s\nthe agent holds %+v, and before %+v", s.agent.stderr.String(), now, before)
		}
	}
}

// checkCounts compares what the agent counted to the models of all sessions: none lost, none
// judged twice.
func (s *soak) checkCounts() {
	s.t.Helper()
	var judged, passed int
	for _, m := range s.models {
		judged += m.judged
		passed += m.passed
	}
	got := s.agent.status().Sessions
	if int(got.Completed) != len(s.models) || int(got.Passed) != passed || int(got.Failed) != judged-passed ||
		got.Incomplete != 0 || got.Open != 0 || int64(judged) != s.judged.Load() {
		s.t.Errorf("the agent counts %+v, want %d sessions, %d steps passed and %d failed", got, len(s.models), passed, judged-passed)
	}
}

// checkLog compares the line of each session that has one to the model of its client: with
// many sessions a second some are left out.
func (s *soak) checkLog() {
	s.t.Helper()
	lines := 0
	for line := range strings.Lines(s.agent.stderr.String()) {
		var entry struct {
			Msg, Session, Verdict, Validators string
			Steps, Passed                     int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg != "session ended" {
			continue
		}
		lines++
		m := s.models[entry.Session]
		want := "pass"
		if m.passed < m.judged {
			want = "fail"
		}
		if entry.Steps != m.judged || entry.Passed != m.passed || entry.Verdict != want || entry.Validators == "" {
			s.t.Errorf("the agent logged %swant %+v", line, m)
		}
		last := uint64(0)
		for word := range strings.SplitSeq(entry.Validators, ",") {
			g, err := strconv.ParseUint(word, 10, 64)
			if err != nil || g <= last || g > s.generation {
				s.t.Errorf("session %s was judged by generations %s", entry.Session, entry.Validators)
				break
			}
			last = g
		}
	}
	if lines == 0 {
		s.t.Error("no session has a line in the log")
	}
}

func (s *soak) stop() {
	s.t.Helper()
	s.agent.signal(syscall.SIGTERM)
	if err := s.agent.wait(); err != nil {
		s.t.Errorf("the agent's end: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(s.agent.dir, "plugins", "*"))
	sockets, _ := filepath.Glob(filepath.Join(s.agent.dir, "*.sock"))
	if left = append(left, sockets...); len(left) > 0 {
		s.t.Errorf("the agent left %v", left)
	}
}

// tail returns the end of a log.
func tail(log string) string { return log[max(0, len(log)-8000):] }
