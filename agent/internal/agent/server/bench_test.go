package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/plugins/validator"
)

// passing passes every step.
type passing struct{}

func (passing) Validate(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
	return validator.PassWith(nil), nil
}

// BenchmarkStep has steps judged that an event loop answers, for one client and for many at once. The
// time of the processor includes the clients.
func BenchmarkStep(b *testing.B) {
	for _, count := range []int{1, 64} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			s, address := benchServer(b, server.Plain, defaults())
			clients := dialAll(b, count, func() (net.Conn, error) { return net.Dial("tcp", address) })
			clients.round(b)
			for s.Parked() < count {
				time.Sleep(time.Millisecond)
			}
			before, steps := cpuTime(b), 0
			for b.Loop() {
				clients.round(b)
				steps += count
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(steps), "cpu-ns/step")
		})
	}
}

// benchServer starts a server whose one event loop answers every step, until the benchmark ends.
func benchServer(b *testing.B, mode server.Mode, o server.Options) (s *server.Server, address string) {
	b.Helper()
	loops, err := eventloop.New(1)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	chain := judge.NewChain(judge.Options{Generation: 1}, odd{judge.Local(judge.Member{Name: "all", Validator: passing{}})})
	log := slog.New(slog.DiscardHandler)
	sessions := session.NewManager(judge.New(chain), session.Options{
		Steps: 10, IdleTimeout: time.Minute, ResumeWindow: time.Minute, MaxOpen: 1000, MaxOpenPerAddress: 1000,
	}, log)
	s = server.New(sessions, loops, o, log)
	go func() { _ = s.Serve(listener, mode) }()
	b.Cleanup(func() {
		_ = s.Shutdown(context.Background())
		sessions.Close()
		loops.Close()
	})
	return s, listener.Addr().String()
}

// benchClients are clients that send their steps at once.
type benchClients struct {
	conns   []net.Conn
	replies []*bufio.Reader
}

func dialAll(b *testing.B, count int, dial func() (net.Conn, error)) (all benchClients) {
	b.Helper()
	for range count {
		c, err := dial()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = c.Close() })
		all.conns, all.replies = append(all.conns, c), append(all.replies, bufio.NewReader(c))
	}
	return all
}

// round has one step of each client judged.
func (all benchClients) round(b *testing.B) {
	for _, c := range all.conns {
		if _, err := io.WriteString(c, `{"step_id":1,"timeout":10,"interval":0}`); err != nil {
			b.Fatal(err)
		}
	}
	for _, r := range all.replies {
		if _, err := r.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
	}
}

func cpuTime(b *testing.B) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}
