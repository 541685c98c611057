package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/judge"
	"github.com/stepagent/stepagent/agent/internal/session"
)

// Whoever waits, a client is served after any pause, and its connection is closed when it has
// been quiet for the idle timeout and not sooner or later.
func TestNaps(t *testing.T) {
	const idleTimeout = 10 * time.Second
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		sessions := session.NewManager(judge.New(judge.NewChain(judge.Options{Limits: judge.Limits{Floor: time.Second, Cap: time.Second}})),
			session.Options{Steps: 1000, IdleTimeout: time.Hour, MaxOpen: 10, MaxOpenPerAddress: 10}, log)
		s := New(sessions, Options{Connections: 10, ConnectionsPerAddress: 10, MessageBytes: 100, MessageTime: time.Second,
			ReplyTime: time.Second, PipelinedMessages: 10, IdleTimeout: idleTimeout}, log)
		client, agent := net.Pipe()
		s.admit(agent)
		reply := make([]byte, 100)
		pauses := []time.Duration{0, 1, firstNap - 1, firstNap, firstNap + 1, 0, 5 * firstNap, lastNap, 3 * lastNap, idleTimeout - 1, 1}
		for _, pause := range pauses {
			time.Sleep(pause)
			if _, err := client.Write([]byte(`{"step_id":1}`)); err != nil {
				t.Fatalf("after %v: %v", pause, err)
			}
			if _, err := client.Read(reply); err != nil {
				t.Fatalf("after %v: %v", pause, err)
			}
		}
		quiet := time.Now()
		if _, err := client.Read(reply); !errors.Is(err, io.EOF) || time.Since(quiet) != idleTimeout {
			t.Errorf("after %v: %v", time.Since(quiet), err)
		}
		if err := s.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		sessions.Close()
	})
}
