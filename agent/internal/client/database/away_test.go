package database_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// A proxy stands before a server, and can go away with all its connections.
type proxy struct {
	address, server string

	mu       sync.Mutex // guards the rest
	listener net.Listener
	conns    []net.Conn
}

// newProxy returns a proxy and the URL that leads through it.
func newProxy(t *testing.T, place string) (*proxy, string) {
	t.Helper()
	at, err := url.Parse(place)
	must(t, err)
	p := &proxy{server: at.Host, address: "127.0.0.1:0"}
	p.start(t)
	t.Cleanup(p.stop)
	at.Host = p.address
	return p, at.String()
}

// start listens, at the same address each time.
func (p *proxy) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", p.address)
	must(t, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener, p.address = listener, listener.Addr().String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.server)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, client, server)
			p.mu.Unlock()
			go func() { _, _ = io.Copy(client, server); _ = client.Close() }()
			go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		}
	}()
}

func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close()
	for _, conn := range p.conns {
		_ = conn.Close()
	}
	p.conns = nil
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// A server that goes away in mid-run and comes back has every event of the run once, in order. If it
// goes away again and stays, it has them after the next Sync.
func TestServerGoesAway(t *testing.T) {
	if os.Getenv(databasetest.Server) == "" {
		return // a SQLite file has no server
	}
	folder := stateFolder(t)
	ctx := context.Background()
	p, place := newProxy(t, databasetest.Create(t))
	db := databasetest.Open(t, place)
	db.SetRetry(50 * time.Millisecond)
	said := make(chan error, 10)
	r, err := db.Begin(ctx, database.Meta{Board: "b"}, func(err error) { said <- err })
	must(t, err)
	all := events(start, 400, 0)
	written := 0
	next := func(n int) {
		write(t, r, all[written:written+n]...)
		written += n
	}
	next(30)
	eventually(t, "the first events", func() bool { return strings.Count(stored(t, db, r.ID()), "\n") == written })

	p.stop()
	next(20)
	if err := <-said; !errors.Is(err, database.ErrAway) || !strings.Contains(err.Error(), "the run goes on, and its events wait in "+folder) {
		t.Errorf("said %v", err)
	}
	p.start(t)
	eventually(t, "the server is back", func() bool {
		next(1)
		return len(waiting(t, folder)) == 0
	})
	next(10)
	eventually(t, "the events", func() bool { return strings.Count(stored(t, db, r.ID()), "\n") == written })

	p.stop()
	next(len(all) - written)
	if err := r.Close(); !errors.Is(err, database.ErrWaiting) {
		t.Errorf("error %v", err)
	}
	if err := <-said; !errors.Is(err, database.ErrAway) {
		t.Errorf("said %v", err)
	}
	p.start(t)
	if result, err := db.Sync(ctx); err != nil || result.Files != int64(1) || len(waiting(t, folder)) != 0 {
		t.Errorf("%+v, error %v", result, err)
	}
	run, err := db.Run(ctx, r.ID())
	if err != nil || run.State != database.Ended || run.Verdict != "pass" || stored(t, db, r.ID()) != string(lines(t, all)) {
		t.Errorf("%+v, error %v", run, err)
	}
	if wrong, err := db.Check(ctx, r.ID()); err != nil || len(wrong) > 0 {
		t.Errorf("%q, error %v", wrong, err)
	}
}

// A listener has a wake-up when the server is back.
func TestListenAfterTheServerWasAway(t *testing.T) {
	if os.Getenv(databasetest.Server) == "" {
		return // a SQLite file has no server
	}
	server := databasetest.Create(t)
	p, place := newProxy(t, server)
	ctx, cancel := context.WithCancel(context.Background())
	wake, err := databasetest.Open(t, place).Listen(ctx, database.QueueChannel)
	must(t, err)
	defer func() { // the proxy must be there until the listener has ended
		cancel()
		for range wake {
		}
	}()
	woken(t, wake, "the beginning")
	p.stop()
	insertEntry(t, databasetest.Open(t, server))
	p.start(t)
	woken(t, wake, "the server is back")
}

// A user who may not create tables is told so, and a database that does not exist is named.
func TestServerRefuses(t *testing.T) {
	if os.Getenv(databasetest.Server) == "" {
		return // files have no users
	}
	server := databasetest.Create(t)
	at, err := url.Parse(server)
	must(t, err)
	admin := databasetest.Open(t, server)
	execute(t, admin, "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP ROLE IF EXISTS stepctl_reader; CREATE ROLE stepctl_reader LOGIN")
	t.Cleanup(func() { execute(t, admin, "DROP ROLE stepctl_reader") })
	at.User = url.User("stepctl_reader")
	refused(t, at.String(), "grant the user the right to create and write tables")
	at.Path = "/stepctl_none"
	refused(t, at.String(), "/stepctl_none does not exist; create it with createdb")
}
