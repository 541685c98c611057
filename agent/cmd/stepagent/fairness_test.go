package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// TestClientsThatSendAheadTakeTurns: while many clients have thousands of steps on their way, one
// that sends its next step with the last reply is answered again and again. Steps are counted and
// not time: it may do a few for each that its share would be.
func TestClientsThatSendAheadTakeTurns(t *testing.T) {
	const clients = 40
	ahead := soaktest.Repetitions(t, 100_000, 1000)
	least := ahead / 30
	a := newAgent(t, "host = \"127.0.0.1\"\n")
	cmd := a.command("serve", "--config", a.configFile(), "--port", "0", "--log-format", "json")
	cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	a.run(cmd)

	dial := func() net.Conn {
		c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", a.port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	var flood sync.WaitGroup
	t.Cleanup(flood.Wait) // after the sockets are closed
	single := dial()
	steps := strings.Repeat("{\"step_id\":1}\n", ahead)
	for range clients {
		c := dial()
		go func() { _, _ = io.WriteString(c, steps) }() // an error is one of the read, too
		flood.Go(func() {
			replies := bufio.NewScanner(c)
			n := 0
			for n < ahead && replies.Scan() {
				n++
			}
			if n < ahead {
				t.Errorf("%d replies of %d: %v", n, ahead, replies.Err())
			}
		})
	}
	answered := make(chan struct{})
	go func() {
		flood.Wait()
		close(answered)
	}()
	done := 0
	for replies := bufio.NewReader(single); ; done++ {
		select {
		case <-answered:
			if done < least {
				t.Errorf("%d steps of the client that waits while %d others were answered, want %d", done, clients*ahead, least)
			}
			return
		default:
		}
		if _, err := fmt.Fprintf(single, "{\"step_id\":%d}\n", done%10+1); err != nil {
			t.Fatal(err)
		}
		if _, err := replies.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}
