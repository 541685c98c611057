package sessionstore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// history makes a disk with one log that has whole records, commits and a removal, with small
// records. Each is told: where in the log it ended, and what was acknowledged by then.
func history(t *testing.T, powerCut bool) (d *memoryDisk, ends []int, acknowledged []map[string]int) {
	t.Helper()
	d = newMemoryDisk()
	o := Options{PowerCut: powerCut, RememberedReplies: 2, disk: d, clock: testClock(1)}
	f := open(t, o)
	store(t, f, record("first", 1), 0)
	o.disk = d.clone()
	d = o.disk.(*memoryDisk)
	f = open(t, o)
	now := map[string]int{"first": 1}
	note := func() {
		ends = append(ends, len(d.last().data))
		acknowledged = append(acknowledged, maps.Clone(now))
	}
	note()
	put := func(key string, position int, was Revision) Revision {
		was = store(t, f, record(key, position), was)
		now[key] = position
		note()
		return was
	}
	first := f.Restored()[0].Revision
	a := put("a", 1, 0)
	put("b", 1, 0)
	a = put("a", 2, a)
	put("first", 2, first)
	f.Forget("b")
	delete(now, "b")
	a = put("a", 3, a)
	b := put("b", 1, 0)
	put("b", 2, b)
	put("a", 4, a)
	return d, ends, acknowledged
}

// A log that is cut anywhere, as by a process that was killed, holds what had been acknowledged by
// then: the start succeeds, and nothing is set aside.
func TestCut(t *testing.T) {
	levels(t, func(t *testing.T, powerCut bool) {
		disk, ends, acknowledged := history(t, powerCut)
		for size := range len(disk.last().data) + 1 {
			for boot := byte(1); boot <= 2 && (boot == 1 || powerCut); boot++ {
				d := disk.clone()
				d.last().data = d.last().data[:size]
				f := open(t, Options{PowerCut: powerCut, disk: d, clock: testClock(boot)})
				got, status := positions(f.Restored()), f.Status()
				if size < ends[0] { // before the end of what the start of the agent has written and synced
					if status.DroppedWhy == "" {
						t.Errorf("cut at %d: sessions are missing, and the status is %+v", size, status)
					}
					continue
				}
				n, _ := slices.BinarySearch(ends, size+1)
				if want := acknowledged[n-1]; !cmp.Equal(got, want) || status.DroppedWhy != "" || status.Damaged != nil {
					t.Errorf("cut at %d: found %v, want %v; status %+v", size, got, want, status)
				}
				if len(d.files) != 1 {
					t.Errorf("cut at %d: files %v", size, slices.Collect(maps.Keys(d.files)))
				}
			}
		}
	})
}

// Whichever byte of a log is damaged: the start succeeds, no session is older than it was acknowledged,
// and where one is missing that is told and the file is set aside.
func TestFlip(t *testing.T) {
	disk, _, acknowledged := history(t, false)
	want := acknowledged[len(acknowledged)-1]
	whole := disk.last().data
	salvaged := 0
	for at := range whole {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			d := disk.clone()
			name := d.last().name
			d.last().data[at] ^= mask
			f := open(t, Options{disk: d, clock: testClock(1)})
			got, s := positions(f.Restored()), f.Status()
			checkDamage(t, fmt.Sprintf("byte %d, mask %x", at, mask), got, want, s)
			if len(got) > 0 {
				salvaged++
			}
			if len(s.Damaged) == 1 && (s.Damaged[0] != name+".damaged" || d.files[s.Damaged[0]] == nil) {
				t.Fatalf("byte %d: set aside as %v", at, s.Damaged)
			}
			again := open(t, Options{disk: d.clone(), clock: testClock(1)})
			if after := positions(again.Restored()); !cmp.Equal(after, got) || again.Status().DroppedWhy != "" {
				t.Fatalf("byte %d: found %v, and at the next start %v; %+v", at, got, after, again.Status())
			}
		}
	}
	if salvaged < len(whole)/2 {
		t.Errorf("of %d files, %d had sessions that were stored after the damage", 3*len(whole), salvaged)
	}
}

// checkDamage: what was found is as it was acknowledged, and what is missing is told.
func checkDamage(t *testing.T, what string, got, want map[string]int, s Status) {
	t.Helper()
	for key, position := range got {
		if want[key] != position {
			t.Fatalf("%s: %s is at %d, want %d", what, key, position, want[key])
		}
	}
	if len(got) != len(want) && (s.DroppedWhy == "" || len(s.Damaged) != 1) {
		t.Fatalf("%s: found %v, status %+v", what, got, s)
	}
}

// A log that a power cut has left holds what was synced, whichever pages of its last frame are there.
// The test performs commits, and cuts the power after each operation of the disk.
func TestPowerCut(t *testing.T) {
	rounds := soaktest.Repetitions(t, 40, 2)
	for seed := range rounds {
		d := newMemoryDisk()
		c := &cutter{random: newRandom(uint64(seed))}
		f := open(t, Options{PowerCut: true, RememberedReplies: 2, disk: d, clock: testClock(1)})
		revisions := map[string]Revision{}
		positions := map[string]int{}
		c.note(d, positions, "", 0)
		for i := range 60 {
			key := fmt.Sprintf("key%d", c.random.IntN(5))
			r := record(key, positions[key]+1)
			r.Memory[0].State = make([]byte, c.random.IntN(9000))
			if i%20 == 10 {
				f.compactAt = 0
			}
			if i%20 == 15 {
				c.failSync(d)
			}
			c.note(d, positions, key, r.Position)
			revisions[key] = store(t, f, r, revisions[key])
			positions[key] = r.Position
			d.fail = nil
			c.note(d, positions, "", 0)
		}
		c.check(t, d.events)
	}
}

// A newer format is set aside and never overwritten, and older logs are not used instead.
func TestNewerFormat(t *testing.T) {
	d := newMemoryDisk()
	o := Options{disk: d, clock: testClock(1)}
	store(t, open(t, o), record("a", 1), 0)
	newer := slices.Clone(d.last().data)
	copy(newer, magic+"\x02\x00\x02\x00")
	copy(newer[12:], sum(newer[:12]))
	for _, name := range []string{"log-7", "log-9.newer"} {
		d.files[name] = &memoryFile{disk: d, name: name, data: newer}
	}
	f := open(t, o) // log-9 was set aside, and the agent that did so has written nothing
	if s := f.Status(); s.Restored != 0 || !strings.Contains(s.DroppedWhy, "log-9 was set aside by a start") || s.Damaged != nil {
		t.Errorf("status %+v", s)
	}
	name := d.last().name
	d.last().data = newer
	f = open(t, o)
	if s := f.Status(); s.Restored != 0 || s.DroppedWhy != name+" is of a newer version of the agent" ||
		!cmp.Equal(s.Damaged, []string{name + ".newer"}) || string(d.files[name+".newer"].data) != string(newer) {
		t.Errorf("status %+v", s)
	}
	if d.files["log-9.newer"] == nil {
		t.Error("a file that was set aside earlier has gone")
	}
	store(t, f, record("a", 1), 0)
}

// A restart of the machine without a clean stop ends sessions that are to survive a restart of the
// agent alone, and says so.
func TestReboot(t *testing.T) {
	d := newMemoryDisk()
	f := open(t, Options{disk: d, clock: testClock(1)})
	store(t, f, record("a", 1), 0)
	f = open(t, Options{disk: d.clone(), clock: testClock(2)})
	if s := f.Status(); s.Restored != 0 || s.Dropped != 1 || !strings.HasPrefix(s.DroppedWhy, "the machine has restarted, ") || s.Damaged != nil {
		t.Errorf("status %+v", s)
	}
}
