package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
//	away=1s      the same, and the agent does not listen for that long
//	hostile      a refusal with a detail that would clear the screen
//	retrust      OK, after which the connection is closed, and clients need certificates of another CA
//	a reason     a refusal for that reason
//
// With end=N every N-th reply that is OK says that the session has ended. With tls=on connections are
// over TLS, and clients need certificates; see tlsSite.
//
// It writes JSON with the standard library alone, so that it owes nothing to the client's
// idea of the protocol.
type scriptedAgent struct {
	port string
	told map[int]string
	end  int                        // the steps of a session; 0 for no end
	tls  atomic.Pointer[tls.Config] // nil for plain TCP
	site *tlsSite                   // of tls
	gone chan struct{}              // closed when the agent stops for good

	mu       sync.Mutex // guards the rest
	received int
	changed  *sync.Cond
	listener net.Listener
	away     time.Duration // for which it does not listen next
}

// request is what the scripted agent reads of a request.
type request struct {
	StepID  json.RawMessage `json:"step_id"`
	Session json.RawMessage `json:"session,omitempty"`
	Req     json.RawMessage `json:"req,omitempty"`
}

// startAgent starts an agent with rules of the form place=behaviour; stop ends it. The site is for
// tls=on.
func startAgent(told []string, site *tlsSite) (a *scriptedAgent, stop func(), err error) {
	a = &scriptedAgent{told: map[int]string{}, site: site, gone: make(chan struct{})}
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
		if place == "tls" {
			a.tls.Store(site.agent)
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
	a.listener = listener
	_, a.port, _ = net.SplitHostPort(listener.Addr().String())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := listener.Accept()
			if err == nil {
				conns.Go(func() { a.serve(conn.(*net.TCPConn)) })
				continue
			}
			if listener = a.listenAgain(); listener == nil {
				return
			}
		}
	})
	return a, func() {
		close(a.gone)
		a.leave(0)
		conns.Wait()
	}, nil
}

// leave stops to listen, for a time or for good.
func (a *scriptedAgent) leave(away time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = away
	_ = a.listener.Close() // it may be closed already
}

// listenAgain listens again when the agent has been away; nil if it left for good.
func (a *scriptedAgent) listenAgain() net.Listener {
	a.mu.Lock()
	away := a.away
	a.mu.Unlock()
	select {
	case <-a.gone:
	case <-time.After(away):
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away == 0 {
		return nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+a.port)
	if err != nil {
		return nil // the client's side of the test sees it
	}
	a.listener, a.away = listener, 0
	return listener
}

// serve answers what comes on one connection until the client closes it.
func (a *scriptedAgent) serve(socket *net.TCPConn) {
	defer func() { _ = socket.Close() }()
	conn := net.Conn(socket)
	if config := a.tls.Load(); config != nil {
		secured := tls.Server(socket, config)
		defer func() { _ = secured.Close() }() // sends that it ends
		conn = secured
		if _, plain := errors.AsType[tls.RecordHeaderError](secured.Handshake()); plain {
			_, _ = io.WriteString(socket, badMessage("this port speaks TLS; connect with TLS"))
			return
		}
	}
	dec := json.NewDecoder(conn)
	for {
		var r request
		if err := dec.Decode(&r); err != nil {
			if _, wrong := errors.AsType[*json.SyntaxError](err); wrong {
				_, _ = io.WriteString(conn, badMessage("this is no JSON"))
			}
			return
		}
		place := a.count()
		behaviour := a.told[place]
		what, value, _ := strings.Cut(behaviour, "=")
		if what == "reset" || what == "away" {
			if away, err := time.ParseDuration(value); err == nil {
				a.leave(away)
			}
			_ = socket.SetLinger(0)
			return
		}
		if !a.answer(conn, r, behaviour, a.end > 0 && place%a.end == 0) {
			return
		}
	}
}

// badMessage returns the refusal of a message that cannot be read.
func badMessage(detail string) string {
	return `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"` + detail + `"}` + "\n"
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
func (a *scriptedAgent) answer(conn net.Conn, r request, behaviour string, end bool) bool {
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
	case "retrust":
		_, _ = io.WriteString(conn, ok)
		a.tls.Store(a.site.retrusting)
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
	a, stop, err := startAgent(told, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return a
}
