package sessionstore

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// What was forgotten is removed with the next commit that succeeds, and with it its replies, also where
// commits fail in between.
func TestForgotten(t *testing.T) {
	levels(t, func(t *testing.T, powerCut bool) {
		for name, commits := range map[string][]string{ // the last one succeeds
			"another key":           {"b"},
			"another key, failed":   {"b", "b"},
			"the key, failed":       {"a", "b"},
			"the key twice, failed": {"a", "a", "b"},
			"the key":               {"a"},
			"the key after another": {"b", "a"},
		} {
			t.Run(name, func(t *testing.T) {
				d := newMemoryDisk()
				o := Options{PowerCut: powerCut, RememberedReplies: 9, disk: d, clock: testClock(1)}
				f := open(t, o)
				a := store(t, f, record("a", 1), 0)
				store(t, f, record("a", 2), a)
				f.Forget("a")
				for i, key := range commits {
					last := i == len(commits)-1
					d.fail = func(kind, _ string) (int, error) {
						if kind == "write" && !last {
							return 9, unix.ENOSPC
						}
						return 0, nil
					}
					if _, err := commitTo(t.Context(), f, record(key, 5), 0); (err == nil) != last {
						t.Fatalf("commit of %s: %v", key, err)
					}
				}
				o.disk = d.clone()
				restored := open(t, o).Restored()
				want := commits[len(commits)-1]
				if got := positions(restored); !cmp.Equal(got, map[string]int{want: 5}) || len(restored[0].Replies) != 1 {
					t.Errorf("found %v, replies %+v", got, restored[0].Replies)
				}
			})
		}
	})
}

// A clean stop makes all records durable, also those of a log that is just being replaced.
func TestCleanStop(t *testing.T) {
	d := newMemoryDisk()
	f := open(t, Options{disk: d, clock: testClock(1)})
	want := map[string]int{}
	for i := range 100 {
		key := fmt.Sprintf("key%d", i)
		r := record(key, 1)
		r.Memory[0].State = make([]byte, 500)
		store(t, f, r, 0)
		want[key] = 1
		if i == 98 {
			f.compactAt = 0
		}
	}
	if !f.compacting {
		t.Fatal("all records were copied at once")
	}
	must(t, f.Close())
	for seed := range 20 {
		c := &cutter{random: newRandom(uint64(seed))}
		f := open(t, Options{disk: c.cut(d.events), clock: testClock(2)})
		if got := positions(f.Restored()); !cmp.Equal(got, want) {
			t.Errorf("%d of %d sessions, status %+v", len(got), len(want), f.Status())
		}
	}
}

// A log whose sync has failed is never synced again: the next commit begins a new one.
func TestFailedSync(t *testing.T) {
	d := newMemoryDisk()
	f := open(t, Options{PowerCut: true, disk: d, clock: testClock(1)})
	a := store(t, f, record("a", 1), 0)
	broken := d.last().name
	d.fail = func(kind, _ string) (int, error) {
		if kind == "sync" || kind == "create" {
			return 0, unix.EIO
		}
		return 0, nil
	}
	if _, err := commitTo(t.Context(), f, record("a", 2), a); err == nil {
		t.Fatal("the commit succeeded")
	}
	d.fail, d.events = nil, nil
	store(t, f, record("a", 2), a)
	for _, e := range d.events {
		if e.name == broken && e.kind != "remove" {
			t.Errorf("after its sync had failed: %s of %s", e.kind, e.name)
		}
	}
	if len(d.files) != 1 {
		t.Errorf("there are %d files", len(d.files))
	}
}
