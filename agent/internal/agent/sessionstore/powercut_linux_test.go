package sessionstore

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }

func sum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(b, castagnoli))
}

// A cutter makes the states that a disk can have after a power cut, and checks what a store reads of
// them.
type cutter struct {
	random *rand.Rand
	notes  []cutNote
}

// A cutNote says what was acknowledged when the disk had done a number of events, and which commit was
// on its way from then on.
type cutNote struct {
	events       int
	acknowledged map[string]int
	key          string
	position     int
}

func (c *cutter) note(d *memoryDisk, acknowledged map[string]int, key string, position int) {
	c.notes = append(c.notes, cutNote{len(d.events), maps.Clone(acknowledged), key, position})
}

// failSync makes the next sync of a file fail: then what was written may never become durable.
func (c *cutter) failSync(d *memoryDisk) {
	d.fail = func(kind, _ string) (int, error) {
		if kind == "sync" {
			d.fail = nil
			return 0, unix.EIO
		}
		return 0, nil
	}
}

// check cuts the power after each event, and some times in each place.
func (c *cutter) check(t *testing.T, events []event) {
	t.Helper()
	note := -1
	for n := range len(events) + 1 {
		for note+1 < len(c.notes) && c.notes[note+1].events <= n {
			note++
		}
		if note < 0 {
			continue // the store was not open yet
		}
		for range 3 {
			d := c.cut(events[:n])
			f, err := Open(Options{PowerCut: true, disk: d, clock: testClock(2)})
			if err != nil {
				t.Fatal(err)
			}
			at := c.notes[note]
			got := positions(f.Restored())
			if got[at.key] == at.position {
				delete(got, at.key) // it may be there already
				at.acknowledged = maps.Clone(at.acknowledged)
				delete(at.acknowledged, at.key)
			}
			if s := f.Status(); !maps.Equal(got, at.acknowledged) || s.DroppedWhy != "" || s.Damaged != nil {
				t.Fatalf("after %d events: found %v, want %v; status %+v; last event %s %s",
					n, got, at.acknowledged, s, events[n-1].kind, events[n-1].name)
			}
		}
	}
}

// TestCloseSurvivesPowerCut: what was stored before Close survives a power cut after it, at either level, and in a
// log that has been begun since the start.
func TestCloseSurvivesPowerCut(t *testing.T) {
	levels(t, func(t *testing.T, powerCut bool) {
		d := newMemoryDisk()
		f := open(t, Options{PowerCut: powerCut, disk: d, clock: testClock(1)})
		was := store(t, f, record("a", 1), 0)
		f.compactAt = 0
		was = store(t, f, record("a", 2), was)
		store(t, f, record("a", 3), was)
		if n := f.Status().Snapshots; n != 1 {
			t.Fatalf("%d logs were begun and completed, want 1", n)
		}
		must(t, f.Close())
		for seed := range uint64(20) {
			c := &cutter{random: newRandom(seed)}
			after := open(t, Options{PowerCut: powerCut, disk: c.cut(d.events), clock: testClock(2)})
			if got := positions(after.Restored()); got["a"] != 3 {
				t.Fatalf("found %v; status %+v", got, after.Status())
			}
		}
	})
}

// pageBytes is the unit in which the kernel writes a file.
const pageBytes = 4096

// A cutFile is a file with what was written since its last sync.
type cutFile struct {
	durable []byte
	later   []event
}

// cut returns a disk after the events and a power cut. Of what was not synced, any pages are there and
// any names.
func (c *cutter) cut(events []event) *memoryDisk {
	files := map[*memoryFile]*cutFile{}
	names := map[string]*memoryFile{}
	var unsynced []event // operations on names
	for _, e := range events {
		switch e.kind {
		case "create":
			files[e.file] = &cutFile{}
			unsynced = append(unsynced, e)
		case "rename", "remove":
			unsynced = append(unsynced, e)
		case "write", "truncate":
			files[e.file].later = append(files[e.file].later, e)
		case "sync":
			files[e.file].apply(func() bool { return true })
		case "names":
			applyNames(names, unsynced)
			unsynced = nil
		}
	}
	applyNames(names, slices.DeleteFunc(unsynced, func(event) bool { return c.random.IntN(2) == 0 }))
	d := newMemoryDisk()
	for name, f := range names {
		files[f].apply(func() bool { return c.random.IntN(2) == 0 })
		d.files[name] = &memoryFile{disk: d, name: name, data: slices.Clone(files[f].durable)}
	}
	return d
}

func applyNames(names map[string]*memoryFile, events []event) {
	for _, e := range events {
		switch e.kind {
		case "create":
			names[e.name] = e.file
		case "rename":
			delete(names, e.name)
			names[e.to] = e.file
		case "remove":
			delete(names, e.name)
		}
	}
}

// apply makes durable what was written, page by page where keep says so.
func (f *cutFile) apply(keep func() bool) {
	durable := &memoryFile{data: f.durable}
	for _, e := range f.later {
		if e.kind == "truncate" {
			durable.data = durable.data[:min(int(e.at), len(durable.data))]
			continue
		}
		for at := e.at; at < e.at+int64(len(e.data)); {
			end := min((at/pageBytes+1)*pageBytes, e.at+int64(len(e.data)))
			if keep() {
				durable.write(at, e.data[at-e.at:end-e.at])
			}
			at = end
		}
	}
	f.durable, f.later = durable.data, nil
}
