package load

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"
	"time"
)

// A reply that arrives after the client has closed its connection is ignored.
func TestLate(t *testing.T) {
	const at, last = 7, 7 + 2*parkAfter
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	again := make(chan struct{})
	agent := newUnusualAgent(t, func(_ int, r request) string { return r.right() },
		func(place int, conn *net.TCPConn, answer string) bool {
			switch place {
			case at:
				<-again
			case at + 1:
				close(again)
			case last:
				cancel()
			}
			return write(conn, answer)
		})
	o := options(t, agent.address, 1)
	o.Wait = 200 * time.Millisecond
	result, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	all := result.Troubles()
	if len(all) == 0 || all[0].Kind != "no_reply" || result.Steps+all[0].Count != uint64(agent.count()) {
		t.Errorf("%d steps of %d requests, and %+v", result.Steps, agent.count(), all)
	}
}

// A request that the socket accepts in parts arrives complete, and its reply counts.
func TestSlowReader(t *testing.T) {
	const requests = 3
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	big := append(bytes.Repeat([]byte("x"), 8<<20), '\n') // more than the buffers of both sockets hold, tcp(7)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan int)
	go func() {
		n := 0
		defer func() { served <- n }()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		got := make([]byte, len(big))
		for ; ; n++ {
			if n == 0 {
				awaitGoroutines(t, 1)
			}
			if _, err := io.ReadFull(conn, got); err != nil {
				return
			}
			if !bytes.Equal(got, big) {
				t.Errorf("request %d is not what the client sends", n)
			}
			if n == requests {
				cancel()
			}
			if !write(conn, "ok\n") {
				return
			}
		}
	}()
	o := options(t, listener.Addr().String(), 1)
	o.Plan = literal{{Request: big, Reply: []byte("ok\n")}}
	result, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close() // no other client connects
	if n := <-served; len(result.Troubles()) > 0 || result.Steps != uint64(n) || n <= requests {
		t.Errorf("%d steps of %d requests, and %+v", result.Steps, n, result.Troubles())
	}
}

// literal is a plan whose replies are known to the letter.
type literal []Exchange

// Exchanges implements Plan.
func (l literal) Exchanges(string) []Exchange { return l }
