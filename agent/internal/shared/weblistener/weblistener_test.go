package weblistener_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/shared/weblistener"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = time.Minute
	token    = "QJ2ZK4T5U6V7W8X9YABCDEFGHI"
)

var options = weblistener.Options{Token: token, Connections: 8, HeaderBytes: 8192, RequestTime: patience, ReplyTime: patience}

// serve serves the handler and returns the address.
func serve(t *testing.T, o weblistener.Options, handler http.HandlerFunc) (*weblistener.Server, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := weblistener.Serve(listener.(*net.TCPListener), handler, o, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { s.Close(patience) })
	return s, s.Addr().String()
}

func reached(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "reached") }

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request with the header lines on a connection of its own and returns the answer.
func send(t *testing.T, address, request string, headers ...string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	text := request + " HTTP/1.1\r\nConnection: close\r\n" + strings.Join(append(headers, "", ""), "\r\n")
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	reply, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{reply.StatusCode, reply.Header, string(body)}
}

// TestSlowClients: what a client is slow with is bounded: the header, the body, and accepting a reply.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	o := options
	o.RequestTime, o.ReplyTime = 50*time.Millisecond, 50*time.Millisecond
	var ended sync.WaitGroup
	_, address := serve(t, o, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			defer ended.Done()
			for line := bytes.Repeat([]byte("x"), 1<<16); ; {
				if _, err := w.Write(line); err != nil {
					return
				}
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
	})
	ended.Add(1)
	for _, start := range []string{
		"",
		"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
		"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx",
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, start); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(start, "large") {
			ended.Wait() // without a read of this client
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("after %q the connection stays open", start)
		}
		_ = conn.Close()
	}
}

// TestHeaderIsBounded: the handler is not reached; the reply may be lost, as the server does not read on.
func TestHeaderIsBounded(t *testing.T) {
	t.Parallel()
	_, address := serve(t, options, reached)
	for _, tt := range []struct {
		bytes int
		want  bool
	}{{options.HeaderBytes / 2, true}, {2 * options.HeaderBytes, false}} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Large: "+strings.Repeat("x", tt.bytes)+"\r\n\r\n")
		reply, _ := io.ReadAll(conn)
		if bytes.Contains(reply, []byte("reached")) != tt.want {
			t.Errorf("with %d bytes: %.40s", tt.bytes, reply)
		}
		_ = conn.Close()
	}
}

// TestConnectionsWait: past the limit a connection is served once another has ended.
func TestConnectionsWait(t *testing.T) {
	t.Parallel()
	o := options
	o.Connections = 2
	entered, leave := make(chan struct{}), make(chan struct{})
	_, address := serve(t, o, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-leave
	})
	var clients sync.WaitGroup
	for range o.Connections + 1 {
		clients.Go(func() { send(t, address, "GET /", "Host: localhost") })
	}
	for range o.Connections {
		<-entered
	}
	select {
	case <-entered:
		t.Error("there are more connections than the limit")
	case <-time.After(50 * time.Millisecond):
	}
	leave <- struct{}{}
	<-entered
	close(leave)
	clients.Wait()
}

// TestReplace: the server that replaces another on its address serves at once, and a stream of the old
// one ends.
func TestReplace(t *testing.T) {
	t.Parallel()
	streaming := make(chan struct{})
	old, address := serve(t, options, func(_ http.ResponseWriter, r *http.Request) {
		close(streaming)
		<-r.Context().Done()
	})
	var client sync.WaitGroup
	client.Go(func() { send(t, address, "GET /", "Host: localhost") })
	<-streaming
	listener, err := old.Listener()
	if err != nil {
		t.Fatal(err)
	}
	next := weblistener.Serve(listener, http.HandlerFunc(reached), options, slog.New(slog.DiscardHandler))
	defer next.Close(patience)
	old.Close(patience)
	client.Wait()
	for n := range 10 {
		if got := send(t, address, fmt.Sprintf("GET /%d", n), "Host: localhost"); got.body != "reached" {
			t.Errorf("got %+v", got)
		}
	}
}
