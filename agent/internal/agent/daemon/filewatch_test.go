package daemon_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// TestHalfAConfigIsNotTaken writes the config in place and in halves while the agent reloads by itself:
// no half is put in force, and the last config is.
func TestHalfAConfigIsNotTaken(t *testing.T) {
	t.Parallel()
	const head = "port = 0\nreload = { on_change = true, settle = \"10ms\" }\n"
	text := func(n int) string { return fmt.Sprintf("%ssession.steps = %d\nrecord.queue = %d\n", head, n, n) }
	o, file := options(t, text(1000))
	load := o.Load
	var mu sync.Mutex
	inForce := func(a *daemon.Agent) uint64 { return a.Status().Generation }
	var loaded []config.Config
	o.Load = func() (*config.Loaded, error) {
		c, err := load()
		if err == nil {
			mu.Lock()
			loaded = append(loaded, c.Config)
			mu.Unlock()
		}
		return c, err
	}
	log := &lines{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	a, err := daemon.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = a.Stop(t.Context()) }()
	writes := soaktest.Repetitions(t, 1500, 5) // each is a reload or two, with a plugin started
	for n := range writes {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_TRUNC, 0)
		if err != nil {
			t.Fatal(err)
		}
		// The first half is a sound config, and the writer rests for longer than the files must.
		half := strings.Index(text(1001+n), "record")
		for _, piece := range []string{text(1001 + n)[:half], text(1001 + n)[half:]} {
			if _, err := f.WriteString(piece); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Millisecond)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(n%3) * 10 * time.Millisecond)
	}
	last := func() bool {
		mu.Lock()
		defer mu.Unlock()
		c := loaded[len(loaded)-1] // whole, so that every reload before it has ended
		return c.Session.Steps == 1000+writes && c.Record.Queue == c.Session.Steps && inForce(a) > 1
	}
	for began := time.Now(); !last(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the last config is not taken; the log:\n%s", log)
		}
	}
	// What was read in pieces was refused.
	mu.Lock()
	defer mu.Unlock()
	halves := uint64(0)
	for _, c := range loaded {
		if c.Session.Steps != c.Record.Queue {
			halves++
		}
	}
	if refused := uint64(strings.Count(log.String(), "a file has changed while it was read")); refused < halves {
		t.Errorf("%d halves were read, and %d reloads given up for that; the log:\n%s", halves, refused, log)
	}
	if s := a.Status(); len(s.Watch.Files) != 2 || s.Watch.Error != "" || inForce(a) > uint64(len(loaded)) {
		t.Errorf("status: %+v", s.Watch)
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
