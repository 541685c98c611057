package server_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A doubtfulStore does not know what has become of a record, once doubts is set.
type doubtfulStore struct {
	waits  bool
	doubts atomic.Bool
}

func (d *doubtfulStore) Begin(*sessionstore.Record, sessionstore.Revision) (sessionstore.Commit, error) {
	return sessionstore.Commit{Revision: 1}, nil
}

func (d *doubtfulStore) Wait(context.Context, sessionstore.Commit) (sessionstore.Revision, error) {
	if d.doubts.Load() {
		return 0, sessionstore.ErrInDoubt
	}
	return 1, nil
}

func (d *doubtfulStore) Waits() bool                       { return d.waits }
func (d *doubtfulStore) Forget(string)                     {}
func (d *doubtfulStore) Restored() []sessionstore.Restored { return nil }
func (d *doubtfulStore) Status() sessionstore.Status       { return sessionstore.Status{} }
func (d *doubtfulStore) Close() error                      { return nil }

// startStoring is start with a store.
func startStoring(t *testing.T, options server.Options, store sessionstore.Store) *harness {
	t.Helper()
	loops := newLoops(t, 2)
	listener := listen(t)
	log := slog.New(slog.DiscardHandler)
	sessions := newSessions(judge.New(chain(t)), log)
	sessions.Restore(store)
	return startSessions(t, loops, listener, server.Plain, options, log, sessions)
}

// TestStepInDoubt: the connection is reset without a reply, parked or not, and the record says why.
func TestStepInDoubt(t *testing.T) {
	for name, c := range map[string]struct{ waits, parks bool }{
		"in the loop":      {false, true},
		"beside the loop":  {true, true},
		"by its goroutine": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			store, to := &doubtfulStore{waits: c.waits}, &recorder{}
			options := defaults()
			options.Recorder = to
			h := startStoring(t, options, store)
			p := h.dial(t)
			p.send(`{"step_id":1,"session":"a","req":1}`)
			p.expect(`{"step_id":1,"error_code":0`)
			if c.parks {
				h.park(t, 1)
			}
			store.doubts.Store(true)
			p.send(`{"step_id":2,"session":"a","req":2}`)
			if line, err := p.lines.ReadString('\n'); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read %q, error %v, want a reset", line, err)
			}
			waitFor(t, "the step to be recorded", func() bool { return len(to.steps()) == 2 })
			step := to.steps()[1]
			if step.Replied != nil || step.Reason != string(protocol.Busy) || step.Position != 1 ||
				step.Detail != "it is not known whether the session was stored; send the step again later" {
				t.Errorf("the record says %+v", step)
			}
			store.doubts.Store(false)
			q := h.dial(t)
			q.send(`{"step_id":2,"session":"a","req":2}`)
			q.expect(`{"step_id":2,"error_code":0`)
		})
	}
}
