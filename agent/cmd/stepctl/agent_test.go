package main

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A scriptedAgent answers each request with the behaviour scripted for its position, counted from 1
// over all connections; by default with OK:
//
//	withhold     no reply
//	after=200ms  OK, but only then
//	twice        OK, two times
//	flood=1000   OK, and as many times more
//	other        OK for another step
//	garbage      bytes that are no reply
//	reset        a connection reset instead of a reply
//	hostile      a refusal with a detail that would clear the screen
//	a reason     a refusal for that reason
//
// With end=N every N-th reply that is OK says that the session has ended.
//
// It writes JSON with the standard library alone, so that it owes nothing to the client's
// idea of the protocol.
type scriptedAgent struct {
	port string
	told map[int]string
	end  int // the steps of a session; 0 for no end

	mu       sync.Mutex
	received int
	changed  *sync.Cond
}

// request is what the scripted agent reads of a request.
type request struct {
	StepID  json.RawMessage `json:"step_id"`
	Session json.RawMessage `json:"session,omitempty"`
	Req     json.RawMessage `json:"req,omitempty"`
}

// startAgent starts an agent with rules of the form place=behaviour; stop ends it.
func startAgent(told []string) (a *scriptedAgent, stop func(), err error) {
	a = &scriptedAgent{told: map[int]string{}}
	a.changed = sync.NewCond(&a.mu)
	for _, rule := range told {
		place, behaviour, _ := strings.Cut(rule, "=")
		var n int
		if place == "end" {
			if _, err := fmt.Sscan(behaviour, &a.end); err != nil {
				return nil, nil, err
			}
			continue
		}
		if _, err := fmt.Sscan(place, &n); err != nil {
			return nil, nil, fmt.Errorf("%q is not place=behaviour", rule)
		}
		a.told[n] = behaviour
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	_, a.port, _ = net.SplitHostPort(listener.Addr().String())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { a.serve(conn.(*net.TCPConn)) })
		}
	})
	return a, func() {
		_ = listener.Close()
		conns.Wait()
	}, nil
}

// serve answers what comes on one connection until the client closes it.
func (a *scriptedAgent) serve(conn *net.TCPConn) {
	defer func() { _ = conn.Close() }()
	dec := json.NewDecoder(conn)
	for {
		var r request
		if dec.Decode(&r) != nil {
			return
		}
		place := a.count()
		if !a.answer(conn, r, a.told[place], a.end > 0 && place%a.end == 0) {
			return
		}
	}
}

// count takes note of a request and returns its place.
func (a *scriptedAgent) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.received++
	a.changed.Broadcast()
	return a.received
}

// await returns when the agent has received n requests.
func (a *scriptedAgent) await(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.received < n {
		a.changed.Wait()
	}
}

// answer performs the behaviour, and reports whether the connection stays open.
func (a *scriptedAgent) answer(conn *net.TCPConn, r request, behaviour string, end bool) bool {
	ok := r.reply(`,"error_code":0}`)
	if end {
		ok = r.reply(`,"error_code":0,"end":true}`)
	}
	what, value, _ := strings.Cut(behaviour, "=")
	switch what {
	case "":
	case "withhold":
		return true
	case "after":
		delay, _ := time.ParseDuration(value)
		time.AfterFunc(delay, func() { _, _ = conn.Write([]byte(ok)) })
		return true
	case "twice":
		ok += ok
	case "flood":
		n, _ := strconv.Atoi(value)
		ok = strings.Repeat(ok, n+1)
	case "other":
		r.StepID = json.RawMessage("77")
		ok = r.reply(`,"error_code":0}`)
	case "garbage":
		ok = "HTTP/1.1 400 Bad Request\r\n\r\n"
	case "reset":
		_ = conn.SetLinger(0)
		return false
	case "hostile":
		ok = r.reply(`,"error_code":1,"reason":"rule_broken","detail":"\u001b[2Jcleared"}`)
	default:
		ok = r.reply(`,"error_code":1,"reason":"` + what + `","detail":"told to say so"}`)
	}
	_, err := conn.Write([]byte(ok))
	return err == nil
}

// reply returns a reply to r that ends in rest.
func (r request) reply(rest string) string {
	text := `{"step_id":` + string(r.StepID)
	if r.Session != nil {
		text += `,"session":` + string(r.Session)
	}
	if r.Req != nil {
		text += `,"req":` + string(r.Req)
	}
	return text + rest + "\n"
}

// mustStartAgent is startAgent for a test in Go.
func mustStartAgent(t *testing.T, told ...string) *scriptedAgent {
	t.Helper()
	a, stop, err := startAgent(told)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return a
}
