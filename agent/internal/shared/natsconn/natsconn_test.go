package natsconn_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

const patience = time.Minute

func TestMain(m *testing.M) {
	natstest.Main()
	os.Exit(m.Run())
}

func connect(t *testing.T, o natsconn.Options) *natsconn.Conn {
	t.Helper()
	began := time.Now()
	c, err := natsconn.Connect(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if took := time.Since(began); took > time.Second {
		t.Errorf("Connect took %v", took)
	}
	return c
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain: " + what)
		}
	}
}

func awaitStatus(t *testing.T, c *natsconn.Conn, want string) {
	t.Helper()
	await(t, want, func() bool { return strings.Contains(c.Status(), want) })
}

// A connection comes and goes with the server, and a subscription outlives that.
func TestComesAndGoes(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	node.Kill()
	c := connect(t, natsconn.Options{URLs: []string{node.URL}, Name: "test"})
	got := make(chan string, 16)
	if _, err := c.Subscribe("words", func(m *nats.Msg) { got <- string(m.Data) }); err != nil {
		t.Fatal(err)
	}
	awaitStatus(t, c, "not connected: ")
	awaitStatus(t, c, "start the server, or correct its address")
	for range 2 {
		if err := c.Publish("words", []byte("lost")); err == nil {
			t.Error("a publication without a server is kept")
		}
		node.Restart()
		await(t, "a connection", c.Connected)
		if want := "connected to " + node.URL; c.Status() != want {
			t.Errorf("the status is %q, want %q", c.Status(), want)
		}
		if err := c.Publish("words", []byte("kept")); err != nil {
			t.Error(err)
		}
		select {
		case word := <-got:
			if word != "kept" {
				t.Errorf("got %q", word)
			}
		case <-time.After(patience):
			t.Fatal("no message after a restart of the server")
		}
		node.Kill()
		await(t, "the loss", func() bool { return !c.Connected() })
		awaitStatus(t, c, "start the server, or correct its address")
	}
}

// A stopped server is noticed, and no call waits for it.
func TestStoppedServer(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Processes())
	c := connect(t, natsconn.PingEach(500*time.Millisecond, natsconn.Options{URLs: []string{node.URL}}))
	await(t, "a connection", c.Connected)
	node.Stop()
	await(t, "the loss", func() bool { return !c.Connected() })
	for range 200 { // tries to connect are in progress most of this time
		began := time.Now()
		_, _ = c.Status(), c.Connected()
		if took := time.Since(began); took > time.Second {
			t.Fatalf("the status took %v", took)
		}
		time.Sleep(5 * time.Millisecond)
	}
	node.Continue()
	await(t, "a connection", c.Connected)
}

// Close ends a try to connect to a server that accepts connections and says nothing.
func TestCloseDuringTry(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	c := connect(t, natsconn.Options{URLs: []string{"nats://" + listener.Addr().String()}})
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	began := time.Now()
	c.Close()
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
	if got := c.Status(); got != "not connected: closed" {
		t.Errorf("the status is %q", got)
	}
}

// A server is left for another one, unless it is the only one or the connection is young.
func TestLeave(t *testing.T) {
	t.Parallel()
	urls := []string{natstest.Server(t).URL, natstest.Server(t).URL}
	both, single := connect(t, natsconn.Options{URLs: urls}), connect(t, natsconn.Options{URLs: urls[:1]})
	await(t, "the connections", func() bool { return both.Connected() && single.Connected() })
	before := both.Status()
	both.Leave(time.Hour)
	single.Leave(0)
	if got := both.Status(); got != before || !single.Connected() {
		t.Errorf("%s, then %s; %s", before, got, single.Status())
	}
	both.Leave(0)
	await(t, "the other server", func() bool { return both.Connected() && both.Status() != before })
}

// A wrong password is tried again and again, as it may be set right at the server.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t, natstest.Config(`authorization { users = [
		{ user: board, password: right, permissions: { publish: "allowed", subscribe: "_INBOX.>" } } ] }`))
	wrong := connect(t, natsconn.Options{URLs: []string{node.URL}, User: "board", Password: "wrong"})
	awaitStatus(t, wrong, "check the credentials, or the user and the password")
	time.Sleep(time.Second) // several tries
	if wrong.IsClosed() {
		t.Error("the connection has given up")
	}
	right := connect(t, natsconn.Options{URLs: []string{node.URL}, User: "board", Password: "right"})
	await(t, "a connection", right.Connected)
	if err := right.Publish("forbidden", nil); err != nil {
		t.Error(err)
	}
	awaitStatus(t, right, `which has refused something: permissions violation: Permissions Violation for Publish to "forbidden"; give the user this right`)
}

// A server with TLS is checked by the CA.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	cert, key := ca.Issue(t, certtest.Template{CN: "server", DNS: []string{"localhost"}})
	node := natstest.Server(t, natstest.Config(fmt.Sprintf("tls { cert_file: %q, key_file: %q }", cert, key)))
	url := strings.Replace(node.URL, "nats://127.0.0.1", "tls://localhost", 1)
	c := connect(t, natsconn.Options{URLs: []string{url}, CA: ca.File})
	await(t, "a connection", c.Connected)
	other := connect(t, natsconn.Options{URLs: []string{url}, CA: certtest.New(t).File})
	awaitStatus(t, other, "; check the CA, and the name in the server's certificate")
	plain := natstest.Server(t)
	without := connect(t, natsconn.Options{URLs: []string{plain.URL}, CA: ca.File})
	awaitStatus(t, without, "the server has no TLS")
}

func TestWrongOptions(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	for option, o := range map[string]natsconn.Options{
		"url":         {},
		"credentials": {Credentials: missing},
		"ca":          {CA: missing},
		"cert":        {Cert: missing, Key: missing},
	} {
		if option != "url" {
			o.URLs = []string{"nats://127.0.0.1:1"}
		}
		_, err := natsconn.Connect(o)
		var wrong *natsconn.OptionError
		if !errors.As(err, &wrong) || wrong.Option != option || strings.Contains(err.Error(), "nats: ") {
			t.Errorf("%s: %v", option, err)
		}
	}
}
