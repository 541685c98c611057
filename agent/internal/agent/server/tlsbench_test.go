package server_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// BenchmarkTLSHandshake connects, has one step judged and closes, by 8 clients at once: without TLS, with
// it, with client certificates, and with sessions that are resumed. The time of the processor includes
// the clients.
func BenchmarkTLSHandshake(b *testing.B) {
	a := newAuthority(b)
	mutual := a.clientAs(certtest.Template{CN: "bench"})
	resumed := mutual.Clone()
	resumed.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	for _, c := range []struct {
		name   string
		mode   server.Mode
		client *tls.Config
	}{{"plain", server.Plain, nil}, {"tls", server.TLS, a.client()}, {"mutual", server.TLS, mutual}, {"resumed", server.TLS, resumed}} {
		b.Run(c.name, func(b *testing.B) {
			_, address := benchServer(b, c.mode, a.options(c.client == mutual || c.client == resumed))
			h := &harness{addr: address, client: c.client}
			before := cpuTime(b)
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := oneStep(h); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "connections/s")
		})
	}
}

// oneStep has one step judged over a connection of its own.
func oneStep(h *harness) error {
	conn, err := h.connect()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, `{"step_id":1,"timeout":10}`); err != nil {
		return err
	}
	_, err = bufio.NewReaderSize(conn, 128).ReadSlice('\n')
	return err
}

// BenchmarkTLSStep has the steps of 64 clients judged over connections that stay open, in turns with TLS
// and without, and compares both: throughput, and time of the processor, which includes the clients.
func BenchmarkTLSStep(b *testing.B) {
	const count, slice = 64, 200
	a := newAuthority(b)
	s, address := benchServer(b, server.Either, a.options(false))
	plain := dialAll(b, count, func() (net.Conn, error) { return net.Dial("tcp", address) })
	over := dialAll(b, count, func() (net.Conn, error) { return tls.Dial("tcp", address, a.client()) })
	plain.round(b)
	over.round(b)
	for s.Parked() < count {
		time.Sleep(time.Millisecond)
	}
	var took, cpu [2]time.Duration
	for b.Loop() {
		for i, clients := range []benchClients{plain, over} {
			began, before := time.Now(), cpuTime(b)
			for range slice {
				clients.round(b)
			}
			took[i] += time.Since(began)
			cpu[i] += time.Duration(cpuTime(b) - before)
		}
	}
	steps := float64(b.N * count * slice)
	b.ReportMetric(steps/took[0].Seconds(), "plain-steps/s")
	b.ReportMetric(steps/took[1].Seconds(), "tls-steps/s")
	b.ReportMetric(float64(took[0])/float64(took[1]), "throughput-ratio")
	b.ReportMetric(float64(cpu[1])/float64(cpu[0]), "cpu-ratio")
}

// BenchmarkTLSFlood measures the latency of the steps of 256 clients without TLS, in turns alone and
// beside 64 clients that begin one handshake after the other and leave as soon as the agent has computed
// its part. The result is the ratio of the 99th percentiles, the median of all rounds.
func BenchmarkTLSFlood(b *testing.B) {
	const count, floods, slice = 256, 64, 500 * time.Millisecond
	a := newAuthority(b)
	s, address := benchServer(b, server.Either, a.options(false))
	clients := dialAll(b, count, func() (net.Conn, error) { return net.Dial("tcp", address) })
	whole := hello(b, a.client())
	var alone, flooded, p99, throughput []float64
	var made float64
	for b.Loop() {
		quiet := clients.latencies(b, slice)
		before := s.Stats().TLSRefused
		end := flood(b, address, floods, whole)
		beside := clients.latencies(b, slice)
		end()
		made += float64(s.Stats().TLSRefused - before)
		alone, flooded = append(alone, percentile(quiet, 99)), append(flooded, percentile(beside, 99))
		p99 = append(p99, percentile(beside, 99)/percentile(quiet, 99))
		throughput = append(throughput, float64(len(beside))/float64(len(quiet)))
	}
	b.ReportMetric(percentile(alone, 50)/1e3, "alone-p99-µs")
	b.ReportMetric(percentile(flooded, 50)/1e3, "flooded-p99-µs")
	b.ReportMetric(percentile(p99, 50), "p99-ratio")
	b.ReportMetric(percentile(throughput, 50), "throughput-ratio")
	b.ReportMetric(made/(float64(b.N)*slice.Seconds()), "handshakes/s")
}

// percentile sorts the values and returns that one.
func percentile(values []float64, percent int) float64 {
	slices.Sort(values)
	return values[len(values)*percent/100]
}

// latencies has steps of all clients judged for this long, each as soon as it has the reply to its last,
// and returns how many nanoseconds each took.
func (all benchClients) latencies(b *testing.B, during time.Duration) (latencies []float64) {
	b.Helper()
	var mu sync.Mutex
	var running sync.WaitGroup
	ends := time.Now().Add(during)
	for i, c := range all.conns {
		running.Go(func() {
			var own []float64
			for began := time.Now(); began.Before(ends); began = time.Now() {
				if _, err := io.WriteString(c, `{"step_id":1,"timeout":10,"interval":0}`); err != nil {
					b.Error(err)
					return
				}
				if _, err := all.replies[i].ReadSlice('\n'); err != nil {
					b.Error(err)
					return
				}
				own = append(own, float64(time.Since(began)))
			}
			mu.Lock()
			defer mu.Unlock()
			latencies = append(latencies, own...)
		})
	}
	running.Wait()
	if len(latencies) == 0 {
		b.Fatalf("no steps in %v", during)
	}
	return latencies
}

// flood begins handshakes, count at once, until end is called, which waits for the last.
func flood(b *testing.B, address string, count int, hello []byte) (end func()) {
	b.Helper()
	var stop atomic.Bool
	var running sync.WaitGroup
	for range count {
		running.Go(func() {
			answer := make([]byte, 4096)
			for !stop.Load() {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					b.Error(err)
					return
				}
				_ = conn.(*net.TCPConn).SetLinger(0) // or ports run out
				_, err = conn.Write(hello)
				if err == nil {
					_, _ = conn.Read(answer) // ends early at the end of the benchmark
				}
				_ = conn.Close()
			}
		})
	}
	return func() {
		stop.Store(true)
		running.Wait()
	}
}
