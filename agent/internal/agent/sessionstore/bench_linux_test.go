package sessionstore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// BenchmarkCommit measures one commit of a record of about 300 bytes: by one client, and by 256 that
// commit at once, each for its own session.
func BenchmarkCommit(b *testing.B) {
	for _, level := range []string{Restart, PowerCut} {
		for _, clients := range []int{1, 256} {
			b.Run(fmt.Sprintf("%s/%d", level, clients), func(b *testing.B) {
				f := open(b, Options{Dir: filepath.Join(b.TempDir(), "s"), PowerCut: level == PowerCut, RememberedReplies: 16})
				records := make([]*Record, clients)
				revisions := make([]Revision, clients)
				for i := range records {
					records[i] = record(fmt.Sprintf("client-%d", i), 7)
					for range 20 {
						revisions[i] = store(b, f, records[i], revisions[i])
					}
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
							now, err := commitTo(context.Background(), f, records[i], revisions[i])
							if err != nil {
								b.Error(err)
							}
							revisions[i] = now
						}
					})
				}
				all.Wait()
				b.StopTimer()
				must(b, f.Close())
			})
		}
	}
}

// BenchmarkSync measures an fdatasync of a frame's size, to compare with.
func BenchmarkSync(b *testing.B) {
	d, err := openFolder(b.TempDir())
	must(b, err)
	file, err := d.create("file")
	must(b, err)
	data := make([]byte, 400)
	for i := range b.N {
		_, err := file.WriteAt(data, int64(i*len(data)))
		must(b, err)
		must(b, file.sync())
	}
	must(b, file.Close())
	must(b, d.close())
}

// BenchmarkOpen measures a start with 16,384 sessions, each with 16 replies.
func BenchmarkOpen(b *testing.B) {
	const sessions = 16_384
	o := Options{Dir: filepath.Join(b.TempDir(), "s"), RememberedReplies: 16}
	f := open(b, o)
	for i := range sessions {
		var was Revision
		for n := range 16 {
			was = store(b, f, record(fmt.Sprintf("session-%d", i), n), was)
		}
	}
	must(b, f.Close())
	for b.Loop() {
		began := time.Now()
		f := open(b, o)
		took := time.Since(began)
		if n := len(f.Restored()); n != sessions {
			b.Fatalf("%d sessions", n)
		}
		b.ReportMetric(took.Seconds(), "s/open")
		b.ReportMetric(float64(f.Status().Bytes)/1e6, "MB")
		b.StopTimer()
		must(b, f.Close())
		b.StartTimer()
	}
}

// TestNoAllocations: a commit that does not wait allocates nothing, once its session has its replies.
func TestNoAllocations(t *testing.T) {
	f := open(t, Options{Dir: filepath.Join(t.TempDir(), "s"), RememberedReplies: 4})
	r, was := record("a", 1), Revision(0)
	step := func() {
		now, err := commitTo(t.Context(), f, r, was)
		must(t, err)
		was = now
	}
	for range 100 {
		step()
	}
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
