package natsstore

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// BenchmarkCommit measures one commit of a record of about 300 bytes, on one server and on three, with
// and without a sync for each: by one client, and by 256 that commit at once.
func BenchmarkCommit(b *testing.B) {
	for _, servers := range []int{1, 3} {
		for _, sync := range []string{"default", "always"} {
			var options []natstest.Option
			if sync == "always" {
				options = append(options, natstest.SyncAlways())
			}
			all := startServers(b, servers, options...)
			s := open(b, all.urls(), bounds{})
			for _, clients := range []int{1, 256} {
				b.Run(fmt.Sprintf("R%d/%s/%d", servers, sync, clients), func(b *testing.B) { commitAll(b, s, clients) })
			}
		}
	}
}

func commitAll(b *testing.B, s *Store, clients int) {
	records := make([]*sessionstore.Record, clients)
	revisions := make([]sessionstore.Revision, clients)
	for i := range records {
		records[i] = record(fmt.Sprintf("%s %d %d", b.Name(), b.N, i), counted(100))
		revisions[i] = keep(b, s, records[i], 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range clients {
		steps := b.N / clients
		if i < b.N%clients {
			steps++
		}
		all.Go(func() {
			for range steps {
				now, err := commitTo(b.Context(), s, records[i], revisions[i])
				if err != nil {
					b.Error(err)
					return
				}
				revisions[i] = now
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkLoad measures the reading of a session with 16 replies.
func BenchmarkLoad(b *testing.B) {
	for _, servers := range []int{1, 3} {
		all := startServers(b, servers)
		s := open(b, all.urls(), bounds{})
		var was sessionstore.Revision
		for n := range 16 {
			was = keep(b, s, record("x", counted(n+1)), was)
		}
		b.Run(fmt.Sprintf("R%d", servers), func(b *testing.B) {
			for b.Loop() {
				load(b, s, "x")
			}
		})
	}
}
