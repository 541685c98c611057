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
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
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
			s := server.New(sessions, loops, defaults(), log)
			go func() { _ = s.Serve(listener) }()
			defer func() {
				_ = s.Shutdown(b.Context())
				sessions.Close()
				loops.Close()
			}()
			var conns []net.Conn
			var replies []*bufio.Reader
			for range clients {
				c, err := net.Dial("tcp", listener.Addr().String())
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				conns, replies = append(conns, c), append(replies, bufio.NewReader(c))
			}
			round := func() {
				for _, c := range conns {
					if _, err := io.WriteString(c, `{"step_id":1,"timeout":10,"interval":0}`); err != nil {
						b.Fatal(err)
					}
				}
				for _, r := range replies {
					if _, err := r.ReadSlice('\n'); err != nil {
						b.Fatal(err)
					}
				}
			}
			round()
			for s.Parked() < clients {
				time.Sleep(time.Millisecond)
			}
			before, steps := cpuTime(b), 0
			for b.Loop() {
				round()
				steps += clients
			}
			b.ReportMetric(float64(cpuTime(b)-before)/float64(steps), "cpu-ns/step")
		})
	}
}

func cpuTime(b *testing.B) int64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}
