package sessionstore

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A tester is a test, a benchmark or a property.
type tester interface {
	Helper()
	Fatal(args ...any)
}

// must fails the test where something that it needs cannot be done.
func must(t tester, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testClock returns a clock of the given boot, whose CLOCK_MONOTONIC is that of the process.
func testClock(boot byte) *clock {
	now := time.Now()
	return &clock{boot: bootID{boot}, opened: now, mono: now.Sub(processStart) + time.Hour, isSynced: func() bool { return true }}
}

var processStart = time.Now()

// open opens a store that must open.
func open(t tester, o Options) *File {
	t.Helper()
	f, err := Open(o)
	must(t, err)
	return f
}

// record returns a record at the given position.
func record(key string, position int) *Record {
	id := int64(position)
	now := time.Now()
	return &Record{
		Key: key, Name: key, Steps: 10, Position: position, Passed: position,
		Client:  Client{Addr: netip.MustParseAddrPort("192.0.2.7:40000")},
		Memory:  []State{{"sequence", []byte{byte(position)}}, {"pacing", []byte(strings.Repeat("s", position%40))}},
		Expects: Expectation{StepID: id + 1, Known: true},
		Began:   now.Add(-time.Second), Latest: time.Second, Replied: now, Interval: time.Millisecond,
		GapFrom: now, Req: protocol.NumReq(id), Generations: []uint64{1},
		Reply: &protocol.Reply{StepID: &id, Req: protocol.NumReq(id), Session: key},
	}
}

// commitTo commits a record.
func commitTo(ctx context.Context, s Store, r *Record, was Revision) (Revision, error) {
	c, err := s.Begin(r, was)
	if err != nil {
		return 0, err
	}
	return s.Wait(ctx, c)
}

// store commits a record that must be stored, and returns its revision.
func store(t tester, s Store, r *Record, was Revision) Revision {
	t.Helper()
	now, err := commitTo(context.Background(), s, r, was)
	must(t, err)
	return now
}

// same compares records whose times may have lost some precision.
var same = cmp.Options{
	cmp.Comparer(func(a, b protocol.ReqID) bool { return a == b }),
	cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }),
	cmp.Comparer(func(a, b time.Time) bool { return a.IsZero() == b.IsZero() && a.Sub(b).Abs() < time.Millisecond }),
	cmpopts.EquateEmpty(),
}

// positions returns the position of each restored session.
func positions(restored []Restored) map[string]int {
	found := map[string]int{}
	for _, r := range restored {
		found[r.Key] = r.Position
	}
	return found
}

// An event is one operation of a memoryDisk.
type event struct {
	kind string // create, write, truncate, sync, rename, remove, names
	name string
	to   string
	at   int64
	data []byte
	file *memoryFile
}

// A memoryDisk is a disk in memory, which fails as it is told and remembers what was done.
type memoryDisk struct {
	files  map[string]*memoryFile
	events []event
	// fail returns the error of the next operation and, of a write, how many bytes are written.
	fail func(kind, name string) (n int, err error)
}

type memoryFile struct {
	disk *memoryDisk
	name string
	data []byte
}

func newMemoryDisk() *memoryDisk { return &memoryDisk{files: map[string]*memoryFile{}} }

func (d *memoryDisk) do(e event) (int, error) {
	n, err := len(e.data), error(nil)
	if d.fail != nil {
		if part, failure := d.fail(e.kind, e.name); failure != nil {
			n, err = max(min(part, n-1), 0), failure // never all of it
		}
	}
	if err == nil || n > 0 && e.kind == "write" {
		e.data = slices.Clone(e.data[:n])
		d.events = append(d.events, e)
	}
	return n, err
}

func (d *memoryDisk) names() (names []string, err error) {
	for name := range d.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (d *memoryDisk) read(name string) ([]byte, error) {
	if _, err := d.do(event{kind: "read", name: name}); err != nil {
		return nil, err
	}
	return slices.Clone(d.files[name].data), nil
}

func (d *memoryDisk) create(name string) (file, error) {
	if d.files[name] != nil {
		return nil, fmt.Errorf("%s is there", name)
	}
	f := &memoryFile{disk: d, name: name}
	if _, err := d.do(event{kind: "create", name: name, file: f}); err != nil {
		return nil, err
	}
	d.files[name] = f
	return f, nil
}

func (d *memoryDisk) rename(from, to string) error {
	f := d.files[from]
	if f == nil || d.files[to] != nil {
		return fmt.Errorf("%s is not there, or %s is", from, to)
	}
	_, err := d.do(event{kind: "rename", name: from, to: to, file: f})
	if err == nil {
		delete(d.files, from)
		f.name, d.files[to] = to, f
	}
	return err
}

func (d *memoryDisk) remove(name string) error {
	_, err := d.do(event{kind: "remove", name: name, file: d.files[name]})
	if err == nil {
		delete(d.files, name)
	}
	return err
}

func (d *memoryDisk) sync() error {
	_, err := d.do(event{kind: "names"})
	return err
}

func (d *memoryDisk) close() error { return nil }

// clone returns the disk as a process finds it that starts now.
func (d *memoryDisk) clone() *memoryDisk {
	c := newMemoryDisk()
	for name, f := range d.files {
		c.files[name] = &memoryFile{disk: c, name: name, data: slices.Clone(f.data)}
	}
	return c
}

// size is that of all files.
func (d *memoryDisk) size() (size int64) {
	for _, f := range d.files {
		size += int64(len(f.data))
	}
	return size
}

// last returns the newest log.
func (d *memoryDisk) last() *memoryFile {
	var newest *memoryFile
	var most uint64
	for name, f := range d.files {
		if n, suffix, ok := parseName(name); ok && suffix == "" && n >= most {
			newest, most = f, n
		}
	}
	return newest
}

func (f *memoryFile) WriteAt(p []byte, at int64) (int, error) {
	n, err := f.disk.do(event{kind: "write", name: f.name, at: at, data: p, file: f})
	f.write(at, p[:n])
	return n, err
}

func (f *memoryFile) write(at int64, p []byte) {
	if end := int(at) + len(p); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	copy(f.data[at:], p)
}

func (f *memoryFile) Truncate(size int64) error {
	_, err := f.disk.do(event{kind: "truncate", name: f.name, at: size, file: f})
	if err == nil {
		f.data = f.data[:size]
	}
	return err
}

func (f *memoryFile) sync() error {
	_, err := f.disk.do(event{kind: "sync", name: f.name, file: f})
	return err
}

func (f *memoryFile) Close() error { return nil }
