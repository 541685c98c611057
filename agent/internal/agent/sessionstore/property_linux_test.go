package sessionstore

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// A machine performs random operations on a store, and on a model of what it must hold.
type machine struct {
	opts    Options
	disk    *memoryDisk
	store   *File
	boot    byte
	model   map[string]stored
	failing map[string]bool // kinds of operations
	part    int             // bytes of a write that fails
}

// A stored is what the model holds of a key.
type stored struct {
	revision Revision
	record   *Record   // the last one that was acknowledged; nil for none
	doubtful []*Record // commits in doubt since then
	forgot   bool      // since the last commit that was stored: the key may be there again
}

// TestProperties: after any commits, removals, failures of the disk, crashes and clean stops, the
// store holds what was acknowledged: no more, no less, and nothing older.
func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{disk: newMemoryDisk(), boot: 1, model: map[string]stored{}, failing: map[string]bool{}}
		m.opts = Options{PowerCut: rapid.Bool().Draw(t, "power cut"), RememberedReplies: 3, disk: m.disk, clock: testClock(1)}
		m.watch()
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"commit":     m.commit,
			"commit2":    m.commit,
			"commit3":    m.commit,
			"forget":     m.forget,
			"fail":       m.fail,
			"mend":       func(*rapid.T) { clear(m.failing) },
			"grow":       func(*rapid.T) { m.store.compactAt = 0 }, // as if the log were long
			"crash":      func(t *rapid.T) { m.reopen(t, false) },
			"clean stop": func(t *rapid.T) { m.reopen(t, true) },
		})
		clear(m.failing)
		m.reopen(t, false)
	})
}

// watch makes the operations of the disk fail that are to.
func (m *machine) watch() {
	m.disk.fail = func(kind, _ string) (int, error) {
		if m.failing[kind] {
			return m.part, unix.EIO
		}
		return 0, nil
	}
}

func (m *machine) commit(t *rapid.T) {
	key := fmt.Sprintf("key%d", rapid.IntRange(0, 5).Draw(t, "key"))
	s := m.model[key]
	position := 1
	if s.record != nil {
		position = s.record.Position + 1
	}
	r := record(key, position)
	now, err := commitTo(t.Context(), m.store, r, s.revision)
	switch {
	case err == nil:
		for k, other := range m.model { // with the next commit of any key
			other.forgot = false
			if other.record == nil && other.doubtful == nil {
				delete(m.model, k)
			} else {
				m.model[k] = other
			}
		}
		m.model[key] = stored{revision: now, record: r}
		for k, other := range m.model { // the new log voids what was in doubt
			if !m.store.broken && k != key {
				other.doubtful = nil
				m.model[k] = other
			}
		}
	case errors.Is(err, ErrInDoubt) && m.opts.PowerCut:
		s.doubtful = append(s.doubtful, r)
		m.model[key] = s
	case !errors.Is(err, ErrAway) || len(m.failing) == 0:
		t.Fatalf("error %v", err)
	case m.store.Status().Trouble == "":
		t.Fatal("the status does not tell of the failure")
	}
}

func (m *machine) forget(t *rapid.T) {
	key := fmt.Sprintf("key%d", rapid.IntRange(0, 5).Draw(t, "key"))
	m.store.Forget(key)
	if s, ok := m.model[key]; ok {
		if s.record != nil {
			s.doubtful = append(s.doubtful, s.record)
		}
		m.model[key] = stored{doubtful: s.doubtful, forgot: true}
	}
}

func (m *machine) fail(t *rapid.T) {
	kind := rapid.SampledFrom([]string{"create", "write", "truncate", "sync", "rename", "remove", "names"}).Draw(t, "kind")
	m.failing[kind] = true
	m.part = rapid.SampledFrom([]int{0, 1, 20, 200}).Draw(t, "written")
}

// reopen ends the process, or stops it, and starts another on a sound disk.
func (m *machine) reopen(t *rapid.T, clean bool) {
	if clean {
		if err := m.store.Close(); err == nil && rapid.Bool().Draw(t, "reboot") {
			m.boot++ // which a clean stop survives at either level
		}
	}
	clear(m.failing)
	m.disk = m.disk.clone()
	m.watch()
	m.opts.disk, m.opts.clock = m.disk, testClock(m.boot)
	m.opts.PowerCut = rapid.Bool().Draw(t, "power cut")
	m.open(t)
}

func (m *machine) open(t *rapid.T) {
	f := open(t, m.opts)
	m.store = f
	found := map[string]Restored{}
	for _, r := range f.Restored() {
		found[r.Key] = r
	}
	for key, s := range m.model {
		r, ok := found[key]
		delete(found, key)
		if !s.allows(&r, ok) {
			t.Fatalf("%s: found %v %+v, of %+v", key, ok, r.Record, s)
		}
		if !ok {
			delete(m.model, key)
			continue
		}
		m.model[key] = stored{revision: r.Revision, record: &r.Record}
		if n := len(r.Replies); n == 0 || n > 3 || r.Reply == nil || r.Replies[n-1].Req != r.Req {
			t.Fatalf("%s: replies %+v to %v", key, r.Replies, r.Req)
		}
	}
	if len(found) > 0 {
		t.Fatalf("not committed: %+v", found)
	}
	if s := f.Status(); s.DroppedWhy != "" || s.Damaged != nil {
		t.Fatalf("status %+v", s)
	}
}

// allows reports whether a store may hold the record, or none.
func (s *stored) allows(r *Restored, found bool) bool {
	if !found {
		return s.record == nil
	}
	for _, one := range append(s.doubtful, s.record) {
		if one != nil && cmp.Equal(*one, r.Record, same) {
			return true
		}
	}
	return false
}

// TestFolderSize: the folder stays below 4 times what is stored and 4 MiB, and no commit copies more
// than a few times its own bytes.
func TestFolderSize(t *testing.T) {
	levels(t, func(t *testing.T, powerCut bool) {
		d := newMemoryDisk()
		f := open(t, Options{PowerCut: powerCut, RememberedReplies: 8, disk: d, clock: testClock(1)})
		d.fail = func(string, string) (int, error) { d.events = nil; return 0, nil }
		revisions := map[string]Revision{}
		var most int64
		for i := range 40_000 {
			key := fmt.Sprintf("key%d", i*i%1501)
			r := record(key, i%97)
			if i%50 == 0 {
				r.Memory[0].State = make([]byte, 20_000)
			}
			before := d.size()
			revisions[key] = store(t, f, r, revisions[key])
			size, live := d.size(), f.index.bytes
			if most = max(most, size-before); size > 4*live+4<<20 || f.Status().Bytes != size {
				t.Fatalf("commit %d: %d bytes for %d, status %+v", i, size, live, f.Status())
			}
		}
		if s := f.Status(); s.Snapshots < 2 || most > 300_000 {
			t.Errorf("at most %d bytes at once; status %+v", most, s)
		}
		var listed int64
		for at := f.index.list.Front(); at != nil; at = at.Next() {
			listed += at.Value.(*entry).bytes()
		}
		if listed != f.index.bytes {
			t.Errorf("the index counts %d bytes and has %d", f.index.bytes, listed)
		}
		f = open(t, Options{RememberedReplies: 8, disk: d.clone(), clock: testClock(1)})
		if got := f.Restored(); len(got) != len(revisions) || len(got[0].Replies) != 8 {
			t.Errorf("%d sessions of %d, with %d replies", len(got), len(revisions), len(got[0].Replies))
		}
	})
}
