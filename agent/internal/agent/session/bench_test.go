package session_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/plugins/validator"
)

// counting is a Judge that costs next to nothing: step n of a session must be n.
type counting struct{}

func (counting) First() judge.Expectation { return judge.Expectation{StepID: 1, Known: true} }
func (counting) Judge(_ context.Context, s judge.Session, step judge.Step) judge.Judgement {
	j := judge.Judgement{
		Outcome: validator.Pass, Generation: 1,
		Expects: judge.Expectation{StepID: int64(s.Position) + 2, Known: true},
	}
	if step.ID != int64(s.Position)+1 {
		j.Outcome, j.Reason = validator.Fail, validator.OutOfOrder
	}
	return j
}

func (c counting) Try(s judge.Session, step judge.Step) (judge.Judgement, bool) {
	return c.Judge(context.Background(), s, step), true
}

// many is how many sessions a busy agent has.
const many = 8000

func newBench(steps int, wait time.Duration) *session.Manager {
	o := options
	o.Steps, o.TakeoverWait, o.MaxOpen, o.MaxOpenPerAddress = steps, wait, 2*many, 2*many
	return session.NewManager(counting{}, o, slog.New(slog.DiscardHandler))
}

// peer is the n-th of one address, or of an address of its own.
func peer(n int, alone bool) session.Peer {
	host := [4]byte{10, 0, 0, 1}
	if alone {
		host = [4]byte{10, 1, byte(n >> 8), byte(n)}
	}
	return session.Peer{Addr: netip.AddrPortFrom(netip.AddrFrom4(host), uint16(n+1))}
}

// BenchmarkSessionMemory reports how many bytes an open session takes, its connection's share
// of the sessions with it.
func BenchmarkSessionMemory(b *testing.B) {
	for name, test := range map[string]struct {
		named, req, alone, left bool
	}{
		"named":                         {named: true},
		"named with a req":              {named: true, req: true},
		"named and left":                {named: true, left: true},
		"nameless of one address":       {},
		"nameless of one address, left": {left: true},
		"nameless of many addresses":    {alone: true},
	} {
		b.Run(name, func(b *testing.B) {
			var most uint64 // what an earlier round has left for the collector makes it less
			for b.Loop() {
				m := newBench(10, 0)
				conns := make([]*session.Conn, many)
				before := heapBytes()
				for n := range conns {
					req := step(1)
					if test.named {
						req = named(fmt.Sprint("bench-", n), 1)
					}
					if test.req {
						req = request(req.Session, 1, 1)
					}
					conns[n] = m.Connect(peer(n, test.alone))
					do(conns[n], req)
					if test.left {
						conns[n].Close()
						conns[n] = nil
					}
				}
				if now := heapBytes(); now > before {
					most = max(most, now-before)
				}
				m.Close()
				runtime.KeepAlive(conns)
			}
			b.ReportMetric(float64(most)/many, "B/session")
		})
	}
}

func heapBytes() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkStep is one step of a session whose connection is open, by one goroutine and by
// many, each with a session of its own: by Try, as where the answers are cached, and by Do.
func BenchmarkStep(b *testing.B) {
	for way, send := range map[string]way{"Try": do, "Do": doWaiting} {
		for _, kind := range []string{"named", "nameless"} {
			session := func(n int64) string {
				if kind == "named" {
					return fmt.Sprint("bench-", n)
				}
				return ""
			}
			b.Run(way+"/"+kind+"/one", func(b *testing.B) { benchOne(b, session(0), send) })
			b.Run(way+"/"+kind+"/many", func(b *testing.B) { benchMany(b, session, send) })
		}
	}
}

func benchOne(b *testing.B, name string, send way) {
	m := newBench(10, 0)
	defer m.Close()
	c := m.Connect(peer(0, false))
	defer c.Close()
	req := named(name, 1)
	b.ReportAllocs()
	for n := int64(0); b.Loop(); n++ {
		req.StepID = n%10 + 1
		if !send(c, req).Reply.OK() {
			b.Fatal("out of order")
		}
	}
}

func benchMany(b *testing.B, name func(int64) string, send way) {
	m := newBench(10, 0)
	defer m.Close()
	var count atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		id := count.Add(1)
		c := m.Connect(peer(int(id), false))
		defer c.Close()
		req := named(name(id), 1)
		for n := int64(0); pb.Next(); n++ {
			req.StepID = n%10 + 1
			if !send(c, req).Reply.OK() {
				b.Error("out of order")
			}
		}
	})
}

// BenchmarkTakeover is one step over a connection of its own, with 8000 sessions that others
// of the same address have left or have open. No step waits: the benchmark measures the
// lookup of the session.
func BenchmarkTakeover(b *testing.B) {
	for name, test := range map[string]struct {
		interval time.Duration
		spread   int  // over so many steps
		wrong    bool // the step is not the one expected
		attached bool
	}{
		"due":                    {spread: 1},
		"due, at many steps":     {spread: 9},
		"early":                  {spread: 1, interval: time.Hour},
		"wrong step":             {spread: 9, wrong: true},
		"wrong step, early":      {spread: 9, wrong: true, interval: time.Hour},
		"others attached":        {spread: 9, attached: true},
		"others attached, wrong": {spread: 9, attached: true, wrong: true},
	} {
		b.Run(name, func(b *testing.B) {
			m := newBench(1<<30, 0)
			defer m.Close()
			once := func(id int64) session.Answer {
				c := m.Connect(peer(0, false))
				defer c.Close()
				return do(c, every(test.interval, step(id)))
			}
			for n := range many {
				c := m.Connect(peer(n, false))
				for id := range n%test.spread + 1 {
					do(c, every(test.interval, step(int64(id)+1)))
				}
				if !test.attached {
					c.Close()
				}
			}
			if test.attached {
				once(1)
			}
			next := int64(2)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				switch {
				case test.wrong:
					once(1 << 40)
				case test.attached:
					if !once(next).Reply.OK() {
						b.Fatal("out of order")
					}
					next++
				default:
					// Every client takes its step before any takes the one after.
					if !once(int64(n/many+2)).Reply.OK() && test.spread == 1 {
						b.Fatal("out of order")
					}
				}
			}
		})
	}
}
