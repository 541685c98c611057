package load

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

func jsonNumber(n int64) string { return strconv.FormatInt(n, 10) }

// Steps are due at their times, evenly over the clients, however late the last one ended.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{options: Options{Clients: 4, Rate: 8}, begins: time.Now(), ends: time.Now().Add(10 * time.Second)}
		p := newPace(r, 1)
		var sent, due []time.Duration
		for at, ok := p.next(); ok; at, ok = p.next() {
			due = append(due, at.Sub(r.begins))
			sent = append(sent, time.Since(r.begins))
			switch len(sent) {
			case 3: // a reply that takes two seconds
				time.Sleep(2 * time.Second)
			case 16: // and one that comes after the end
				time.Sleep(4 * time.Second)
			}
			p.now = time.Now()
		}
		for i := range due {
			if want := 125*time.Millisecond + time.Duration(i)*500*time.Millisecond; due[i] != want {
				t.Errorf("step %d was due after %v, want %v", i, due[i], want)
			}
			late := sent[i] - due[i]
			if behind := i > 2 && i < 6; behind != (late > 0) || late < 0 {
				t.Errorf("step %d was sent %v after it was due", i, late)
			}
		}
		if len(due) != 16 || p.left() != 4 {
			t.Errorf("%d steps were sent and %d were left, want 16 and 4 of 20", len(due), p.left())
		}
	})
}

// In a closed loop a step is due when the reply to the last has come.
func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{options: Options{Clients: 4}, begins: time.Now(), ends: time.Now().Add(time.Second)}
		p := newPace(r, 3)
		n := 0
		for due, ok := p.next(); ok; due, ok = p.next() {
			if due != time.Now() {
				t.Errorf("step %d was due %v ago", n, time.Since(due))
			}
			n++
			time.Sleep(100 * time.Millisecond)
			p.now = time.Now()
		}
		if n != 10 || p.left() != 0 {
			t.Errorf("%d steps, %d left", n, p.left())
		}
	})
}

// A load that is stopped sends nothing more, even from the middle of a long pause.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &run{options: Options{Clients: 1, Rate: 0.001}, begins: time.Now(), ends: time.Now().Add(24 * time.Hour)}
		p := newPace(r, 0)
		if _, ok := p.next(); !ok {
			t.Fatal("no first step")
		}
		time.AfterFunc(time.Second, func() { r.stopped.Store(true) })
		if _, ok := p.next(); ok || time.Since(r.begins) > time.Second+longestSleep {
			t.Errorf("stopped after %v, another step: %v", time.Since(r.begins), ok)
		}
		if p.left() != 0 {
			t.Errorf("%d steps were due", p.left())
		}
	})
}

func TestProcedureMustFillASession(t *testing.T) {
	if _, err := Procedure(stepfile.Procedure{Name: "two", Steps: make([]stepfile.Step, 2)}); err == nil ||
		err.Error() != "procedure two has 2 steps; for a load it must have 10, as many as a session" {
		t.Errorf("got %v", err)
	}
}
