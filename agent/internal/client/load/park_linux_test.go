package load

import (
	"bytes"
	"context"
	"maps"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// goroutines returns how many clients have a goroutine.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return bytes.Count(stacks, []byte("agent/internal/client/load.(*client).unpark in")) +
		bytes.Count(stacks, []byte("agent/internal/client/load.(*client).start in"))
}

// awaitGoroutines waits until n clients have a goroutine.
func awaitGoroutines(t *testing.T, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); goroutines() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("%d clients have a goroutine, want %d", goroutines(), n)
			return
		}
	}
}

// Clients have no goroutines while every reply is as expected.
func TestParked(t *testing.T) {
	const clients, steps = 50, 2000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	agent := newFakeAgent(t, func(place int, r request) string {
		if place%100 == 0 {
			if n := goroutines(); n > 0 && ctx.Err() == nil {
				t.Errorf("%d clients have a goroutine after %d steps", n, place)
			}
		}
		if place == steps {
			cancel()
		}
		return r.right()
	})
	result, err := Run(ctx, options(t, agent.address, clients))
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Troubles()) > 0 || result.Steps < steps || result.Steps != uint64(agent.count()) || result.Made != clients {
		t.Errorf("%d of %d steps on %d connections, and %+v", result.Steps, agent.count(), result.Made, result.Troubles())
	}
}

// With many clients and all kinds of failures, each request is counted once, as what
// became of it.
func TestMixed(t *testing.T) {
	const clients = 40
	requests := soaktest.Repetitions(t, 100_000, 3000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var mu sync.Mutex
	want := map[string]uint64{}
	agent := newUnusualAgent(t, func(_ int, r request) string { return r.right() },
		func(place int, conn *net.TCPConn, answer string) bool {
			kind, parts := "", []string{answer}
			switch {
			case place > requests:
				cancel()
			case place%23 == 0:
				kind, parts = "wrong_reply", []string{"no\n"}
			case place%29 == 0:
				kind, parts = "unasked_reply", []string{answer + answer}
			case place%31 == 0:
				kind, parts = "busy", []string{strings.Replace(answer, `_code":0`, `_code":1,"reason":"busy"`, 1)}
			case place%37 == 0:
				kind, parts = "connection_lost", []string{answer[:3], answer[3:9]}
			case place%5 == 0:
				parts = []string{answer[:1], answer[1:7], answer[7:]}
			}
			mu.Lock()
			want[kind]++
			mu.Unlock()
			for _, part := range parts {
				if !write(conn, part) {
					return false
				}
			}
			return kind != "connection_lost"
		})
	result, err := Run(ctx, options(t, agent.address, clients))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{"": result.Steps + result.Finishing}
	for _, trouble := range result.Troubles() {
		got[trouble.Kind] = trouble.Count
	}
	mu.Lock()
	defer mu.Unlock()
	if !maps.Equal(got, want) {
		t.Errorf("got %v, and what there was is %v", got, want)
	}
}

// Sessions in progress at the end are completed, and no new ones begun.
func TestFinishing(t *testing.T) {
	agent := newFakeAgent(t, func(_ int, r request) string {
		time.Sleep(5 * time.Millisecond) // so that some sessions are in progress at the end
		return r.right()
	})
	o := options(t, agent.address, 20)
	o.Duration = 500 * time.Millisecond // in which the first step is sent on any machine
	result, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if all := result.Steps + result.Finishing; all != uint64(agent.count()) || all != lastStep*result.Sessions ||
		result.Steps == 0 || result.Finishing == 0 || len(result.Troubles()) > 0 {
		t.Errorf("%d steps, %d more and %d sessions of %d requests, and %+v",
			result.Steps, result.Finishing, result.Sessions, agent.count(), result.Troubles())
	}
}
