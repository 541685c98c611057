package load

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// A fakeAgent answers the requests of all its connections, counted from 1, with given answers.
type fakeAgent struct {
	address string
	answer  func(place int, r request) string
	deliver deliverer

	mu       sync.Mutex
	received int
	running  sync.WaitGroup
}

// A deliverer sends an answer; false closes the connection.
type deliverer func(place int, conn *net.TCPConn, answer string) bool

// request is what the fake agent reads of a request.
type request struct {
	StepID  int64   `json:"step_id"`
	Timeout float64 `json:"timeout"`
	Session string  `json:"session"`
}

// hangUp, as an answer, closes the connection.
const hangUp = "hang up"

// right is the expected reply.
func (r request) right() string {
	reply := fmt.Sprintf(`{"step_id":%d,"error_code":0`, r.StepID)
	if r.Session != "" {
		reply += fmt.Sprintf(`,"session":%q`, r.Session)
	}
	if r.StepID == lastStep {
		reply += `,"end":true`
	}
	return reply + "}\n"
}

func newFakeAgent(t *testing.T, answer func(place int, r request) string) *fakeAgent {
	t.Helper()
	return newUnusualAgent(t, answer, nil)
}

// newUnusualAgent returns one that sends its answers in a way of its own.
func newUnusualAgent(t *testing.T, answer func(place int, r request) string, deliver deliverer) *fakeAgent {
	t.Helper()
	f := &fakeAgent{answer: answer, deliver: deliver}
	f.address = f.listen(t, "127.0.0.1:0").Addr().String()
	return f
}

// listen serves what connects to the address until the listener is closed, or the test ends.
func (f *fakeAgent) listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	f.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.serve(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close() // closed already where the test has done so
		f.running.Wait()
	})
	return listener
}

// count returns how many requests have come.
func (f *fakeAgent) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.received
}

func (f *fakeAgent) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		var r request
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			return
		}
		f.mu.Lock()
		f.received++
		place := f.received
		f.mu.Unlock()
		answer := f.answer(place, r)
		if answer == hangUp {
			return
		}
		if f.deliver != nil && !f.deliver(place, conn.(*net.TCPConn), answer) {
			return
		}
		if f.deliver == nil && !write(conn, answer) {
			return
		}
	}
}

// plan returns the plan of a built-in procedure.
func plan(t *testing.T, name string) Plan {
	t.Helper()
	procedure, err := stepfile.Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Procedure(procedure)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// options are those of a load that the test ends.
func options(t *testing.T, address string, clients int) Options {
	t.Helper()
	return Options{Address: address, Clients: clients, Duration: time.Hour, Plan: plan(t, "success")}
}

func write(conn net.Conn, answer string) bool {
	_, err := conn.Write([]byte(answer))
	return err == nil
}
