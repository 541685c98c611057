package session_test

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A follower keeps what Changes tells.
type follower struct {
	open   map[string]session.View
	ended  []session.View
	unseen int
}

// follow applies changes until none is left.
func (f *follower) follow(t *testing.T, m *session.Manager, limit int) {
	t.Helper()
	for {
		changed := m.Changes(limit)
		if len(changed.Views) > limit || changed.Lost > 0 {
			t.Fatalf("%d changes and %d lost, want at most %d", len(changed.Views), changed.Lost, limit)
		}
		f.unseen += changed.Unseen
		for _, v := range changed.Views {
			if v.State == session.Open {
				f.open[v.ID] = v
			} else {
				delete(f.open, v.ID)
				f.ended = append(f.ended, v)
			}
		}
		if changed.Waiting == 0 {
			return
		}
	}
}

func byID(views iter.Seq[session.View]) map[string]session.View {
	all := map[string]session.View{}
	for v := range views {
		all[v.ID] = v
	}
	return all
}

// isLike reports whether two views differ in the time without a step at most.
func isLike(a, b session.View) bool {
	a.Idle = b.Idle
	return reflect.DeepEqual(a, b)
}

func TestViewTellsOutcomes(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		client := netip.AddrPortFrom(netip.MustParseAddr(here), 1000)
		c := a.Connect(session.Peer{Addr: client})
		began := time.Now()
		want := session.View{ID: "bench-7", Client: client.String(), Began: began, Steps: options.Steps, State: session.Open, WaitsFor: session.WaitsForClient}
		for n, id := range []int64{1, 7, 3} { // the second is out of order
			time.Sleep(time.Second)
			do(c, named("bench-7", id))
			want.Position, want.Outcomes = n+1, "pfp"[:n+1]
			if n == 0 {
				want.Began = time.Now()
			}
			want.Due, want.Expects = time.Now(), new(id+1)
			if n == 1 {
				want.Expects = new(int64(3)) // after a step out of order
			}
			if got, ok := a.View("bench-7"); !ok || !reflect.DeepEqual(got, want) {
				a.Errorf("after step %d: %+v, want %+v", id, got, want)
			}
		}
		undecided := named("bench-7", 4)
		undecided.Data = order{Undecided: true}.data()
		do(c, undecided)
		time.Sleep(time.Second)
		want.Undecided, want.Idle = 1, jsonl.Seconds(time.Second)
		if got, ok := a.View("bench-7"); !ok || !reflect.DeepEqual(got, want) {
			a.Errorf("after an undecided step: %+v, want %+v", got, want)
		}
		if _, ok := a.View("bench-8"); ok {
			a.Error("there is a view of a session that is not open")
		}
		if !a.EndSession("bench-7") || a.EndSession("bench-7") {
			a.Error("the session is not ended, or twice")
		}
		if got := a.Stats(); got.Incomplete != 1 || got.Open != 0 {
			a.Errorf("got %+v", got)
		}
	})
}

// TestViewWhileJudged: the session waits for the validator until it has answered.
func TestViewWhileJudged(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		a.Observe(true)
		c := a.connect(here)
		slow := named("slow", 1)
		slow.Data = order{Takes: time.Second}.data()
		done := make(chan session.Answer, 1)
		go func() { done <- do(c, slow) }()
		synctest.Wait()
		changed := a.Changes(10).Views
		if len(changed) != 1 || changed[0].WaitsFor != session.WaitsForValidator || changed[0].Position != 0 {
			a.Errorf("while it is judged: %+v", changed)
		}
		<-done
		synctest.Wait()
		changed = a.Changes(10).Views
		if len(changed) != 1 || changed[0].WaitsFor != session.WaitsForClient || changed[0].Outcomes != "p" {
			a.Errorf("after it is judged: %+v", changed)
		}
		if changed = a.Changes(10).Views; len(changed) != 0 {
			a.Errorf("without a change: %+v", changed)
		}
		a.EndSession("slow")
	})
}

// TestChangesAreComplete: a follower that applies all changes has the sessions that Views returns, and has
// seen every end once.
func TestChangesAreComplete(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "advance", options)
	a.Observe(true)
	f := &follower{open: map[string]session.View{}}
	const clients, sessions = 20, 30
	var working sync.WaitGroup
	for client := range clients {
		working.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			c := a.connect(here)
			defer c.Close()
			for n := range sessions {
				steps := int64(options.Steps)
				if n == sessions-1 {
					steps = 1 + random.Int64N(steps-1) // stays open
				}
				for id := range steps {
					do(c, named(fmt.Sprintf("%d-%d", client, n), id+1))
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		working.Wait()
		close(ended)
	}()
	for open := true; open; {
		select {
		case <-ended:
			open = false
		case <-time.After(time.Millisecond):
		}
		f.follow(t, a.Manager, 7)
	}
	if got := byID(a.Views()); !maps.EqualFunc(got, f.open, isLike) || len(got) != clients {
		t.Errorf("the follower has %d sessions:\n%v\nopen are %d:\n%v", len(f.open), f.open, len(got), got)
	}
	if len(f.ended)+f.unseen != clients*(sessions-1) || slices.ContainsFunc(f.ended, func(v session.View) bool {
		return v.State != session.Passed || v.Position != options.Steps || v.Outcomes != "pppppppppp"
	}) {
		t.Errorf("%d sessions have ended: %v", len(f.ended), f.ended)
	}
	a.Observe(false)
	a.Manager.Close()
	if changed := a.Changes(10); len(changed.Views)+changed.Waiting > 0 {
		t.Errorf("changes while not observed: %v", changed)
	}
}

// TestFloodIsSampled: of sessions that no observer has seen, some of those that end are told and the
// others counted. The end of one that was seen is told.
func TestFloodIsSampled(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "advance", options)
	a.Observe(true)
	c := a.connect(here)
	defer c.Close()
	do(c, named("seen", 1))
	if changed := a.Changes(1); len(changed.Views) != 1 || changed.Views[0].ID != "seen" {
		t.Fatalf("got %+v", changed)
	}
	const sessions = 700
	for n := range sessions {
		name := fmt.Sprint(n)
		do(c, named(name, 1))
		a.EndSession(name)
	}
	a.EndSession("seen")
	unseen, ended := 0, map[string]bool{}
	for waiting := 1; waiting > 0; {
		changed := a.Changes(100)
		unseen, waiting = unseen+changed.Unseen, changed.Waiting
		for _, v := range changed.Views {
			ended[v.ID] = v.State == session.Incomplete && v.Cause != ""
		}
	}
	if !ended["seen"] || len(ended)+unseen != sessions+1 || unseen < sessions/10 || len(ended) < sessions/10 {
		t.Errorf("%d told, %d only counted", len(ended), unseen)
	}
}

// TestUnjudgedSessionIsNotLeft: an observer that saw a session whose first step could not be judged is
// told that it has gone.
func TestUnjudgedSessionIsNotLeft(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		a.Observe(true)
		c := a.connect(here)
		defer c.Close()
		undecided := named("gone", 1)
		undecided.Data = order{Takes: time.Second, Undecided: true}.data()
		done := make(chan session.Answer, 1)
		go func() { done <- do(c, undecided) }()
		synctest.Wait()
		if changed := a.Changes(10).Views; len(changed) != 1 || changed[0].State != session.Open {
			a.Errorf("while it is judged: %+v", changed)
		}
		<-done
		if changed := a.Changes(10).Views; len(changed) != 1 || changed[0].State != session.Incomplete || changed[0].Undecided != 1 {
			a.Errorf("after it: %+v", changed)
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		client := netip.AddrPortFrom(netip.MustParseAddr(here), 1000)
		c := a.Connect(session.Peer{Addr: client})
		if last, count := a.Failures(0); len(last) != 0 || count != 0 {
			a.Errorf("at the start: %v, %d", last, count)
		}
		do(c, named("a", 1))
		do(c, named("a", 5))
		want := session.Failure{Time: time.Now(), Session: "a", Client: client.String(), StepID: 5, Position: 2,
			Outcome: "fail", Reason: protocol.OutOfOrder, Validator: "sequence"}
		last, count := a.Failures(0)
		if len(last) == 1 {
			want.Detail = last[0].Detail
		}
		if count != 1 || len(last) != 1 || last[0] != want || want.Detail == "" {
			a.Errorf("got %+v, %d, want %+v", last, count, want)
		}
		for n := range 100 {
			do(c, named(fmt.Sprint("b", n), 5))
		}
		last, count = a.Failures(1)
		if count != 101 || len(last) != 64 || last[63].Session != "b99" || last[0].Session != "b36" {
			a.Errorf("got %d of %d, from %+v", len(last), count, last[0])
		}
		if last, _ = a.Failures(100); len(last) != 1 || last[0].Session != "b99" {
			a.Errorf("after 100: %v", last)
		}
		for v := range a.Views() {
			a.EndSession(v.ID)
		}
	})
}
