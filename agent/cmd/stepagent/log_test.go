package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLogThatNobodyTakes: steps are judged while a pipe full of the log's lines is not read.
func TestLogThatNobodyTakes(t *testing.T) {
	t.Parallel()
	a := startAgent(t, "port = 1\n")
	conn, err := net.Dial("tcp", a.address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	a.stderr.mu.Lock() // so that the reader of the pipe is blocked
	const steps = 1000 // a line for half of them is more than a pipe holds
	for n := range steps {
		_, _ = fmt.Fprint(conn, `{"step_id":99}`)
		if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, `"out_of_order"`) {
			a.stderr.mu.Unlock()
			t.Fatalf("step %d got %q, %v", n, line, err)
		}
	}
	a.stderr.mu.Unlock()
	a.signal(syscall.SIGTERM)
	if err := a.wait(); err != nil {
		t.Error(err)
	}
	log := a.stderr.String()
	if n := strings.Count(log, `"step failed"`); n < 300 || !strings.Contains(log, "agent stopped") {
		t.Errorf("%d lines of failed steps, and the end is %q", n, log[max(0, len(log)-300):])
	}
}
