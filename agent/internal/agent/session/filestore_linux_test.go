package session_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// openStore opens a store in a folder.
func openStore(t testing.TB, dir string, powerCut bool) *sessionstore.File {
	t.Helper()
	store, err := sessionstore.Open(sessionstore.Options{Dir: dir, PowerCut: powerCut, RememberedReplies: options.RememberedReplies})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// TestClientsOfOneFile: many clients at the same time, whose agent stops and starts, and observers. Each
// step counts once, in its place.
func TestClientsOfOneFile(t *testing.T) {
	t.Parallel()
	for name, powerCut := range map[string]bool{"restart": false, "power cut": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients, rounds, starts = 12, 7, 4
			dir := t.TempDir()
			req := int64(0)
			for start := range starts {
				store := openStore(t, dir, powerCut)
				o := options
				o.Steps = rounds*starts + 1
				m := session.NewManager(counting{}, o, slog.New(slog.DiscardHandler))
				m.Restore(store)
				if got := m.Stats(); start > 0 && got.Restored != clients {
					t.Errorf("%d sessions are restored, want %d", got.Restored, clients)
				}
				m.Observe(true)
				var working sync.WaitGroup
				for n := range clients {
					working.Go(func() {
						c := m.Connect(peer(n, true))
						defer c.Close()
						name := fmt.Sprint("bench-", n)
						for i := range int64(rounds) {
							id := int64(start)*rounds + i + 1
							if got := do(c, request(name, id, req+id)); !got.Reply.OK() || got.Trace.Position != int(id) {
								t.Errorf("%s, step %d: %+v", name, id, got)
							}
							if got := do(c, request(name, id, req+id)); !got.Replayed || !got.Reply.OK() {
								t.Errorf("%s, step %d again: %+v", name, id, got)
							}
						}
					})
					working.Go(func() { // begins and ends sessions meanwhile
						c := m.Connect(peer(100+n, true))
						defer c.Close()
						name := fmt.Sprint("ended-", n)
						for range rounds {
							do(c, step(1))
							do(c, named(name, 1))
							m.EndSession(name)
							m.Changes(10)
						}
					})
				}
				working.Wait()
				for view := range m.Views() {
					if view.WaitsFor != session.WaitsForClient {
						t.Errorf("%+v", view)
					}
					if view.Steps != view.Position && len(view.ID) > 6 && view.ID[:6] != "bench-" {
						m.EndSession(view.ID)
					}
				}
				m.Close()
				if err := store.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// BenchmarkStoredStep is a step whose session is stored, as BenchmarkStep/Try/named/one is one whose
// session is not.
func BenchmarkStoredStep(b *testing.B) {
	for _, name := range []string{"bench-7", ""} {
		b.Run("name="+name, func(b *testing.B) {
			store := openStore(b, b.TempDir(), false)
			m := newBench(1<<30, 0)
			m.Restore(store)
			c := m.Connect(peer(0, false))
			b.ReportAllocs()
			for n := int64(1); b.Loop(); n++ {
				if answer, ok := try(c, request(name, n, n), time.Now()); !ok || !answer.Reply.OK() {
					b.Fatalf("step %d: %+v", n, answer)
				}
			}
			c.Close()
			m.Close()
			if err := store.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
