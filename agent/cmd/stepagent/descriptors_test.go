package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestClientsDoNotTakeTheLastDescriptors: with as many connections as the limit of open files allows,
// and clients that want more, the agent serves those that it has and does what else it is there for.
func TestClientsDoNotTakeTheLastDescriptors(t *testing.T) {
	t.Parallel()
	const files, connections = 160, 80
	m := newServiceManager(t, "127.0.0.1:0")
	a := newAgent(t, m.config())
	cmd := m.command(a, "serve", "--config", a.configFile(), "--log-format", "json")
	cmd.Args[2] = fmt.Sprintf("ulimit -n %d; ", files) + cmd.Args[2]
	a.run(cmd)
	m.expect("READY=1")
	if log := a.stderr.String(); !strings.Contains(log, `"connections":80`) {
		t.Errorf("the log does not say that %d connections are allowed:\n%s", connections, log)
	}
	if got := a.status().Connections.Limit; got != connections {
		t.Errorf("status says that %d connections are allowed, want %d", got, connections)
	}

	dial := func() net.Conn {
		c, err := net.Dial("tcp", m.port.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	first := dial()
	waitFor(t, "the first connection", func() bool { return a.status().Connections.Open == 1 })
	for range 3 * files {
		dial()
	}
	waitFor(t, "all connections to be refused or served", func() bool {
		s := a.status().Connections
		return s.Open == connections && s.Refused == 3*files+1-connections
	})
	for range 3 {
		if err := a.reload(); err != nil {
			t.Errorf("reload: %v", err)
		}
		m.expect("RELOADING=1")
		m.expect("READY=1")
		m.expect("WATCHDOG=1")
	}
	if err := first.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(first, `{"step_id":1}`); err != nil {
		t.Fatal(err)
	}
	if reply, err := bufio.NewReader(first).ReadString('\n'); !strings.Contains(reply, `"error_code":0`) {
		t.Errorf("got %q, %v", reply, err)
	}
	if log := a.stderr.String(); strings.Contains(log, "cannot accept") || strings.Contains(log, "too many open files") {
		t.Errorf("the agent ran out of descriptors:\n%s", log)
	}
}
