package auditwriter

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// memory is a folder whose disk can be full.
type memory struct {
	mu    sync.Mutex
	files map[string]*bytes.Buffer
	room  int // bytes that are left; negative for any number
	made  int
	stuck chan struct{} // when not nil, writing waits for it
	sync  error         // of Sync
}

type memoryFile struct {
	in   *memory
	name string
}

func (m *memory) create(time.Time) (file, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.room == 0 {
		return nil, "", syscall.ENOSPC
	}
	m.made++
	name := fmt.Sprintf("%03d", m.made)
	m.files[name] = &bytes.Buffer{}
	return &memoryFile{m, name}, name, nil
}

func (m *memory) remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, name)
}

func (m *memory) prune(string, int64, func(string)) error { return nil }
func (m *memory) rename(string)                           {}
func (m *memory) unlock()                                 {}

func (m *memory) setRoom(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.room = n
}

// look returns how many files were made, and the size of the largest.
func (m *memory) look() (made, largest int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, content := range m.files {
		largest = max(largest, content.Len())
	}
	return m.made, largest
}

func (f *memoryFile) Write(p []byte) (int, error) {
	if f.in.stuck != nil {
		<-f.in.stuck
	}
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	n := len(p)
	if f.in.room >= 0 {
		n = min(n, f.in.room)
		f.in.room -= n
	}
	f.in.files[f.name].Write(p[:n])
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *memoryFile) Truncate(size int64) error {
	f.in.mu.Lock()
	defer f.in.mu.Unlock()
	f.in.files[f.name].Truncate(int(size))
	return nil
}

func (f *memoryFile) Sync() error               { return f.in.sync }
func (f *memoryFile) Close() error              { return nil }
func (f *memoryFile) check(int64) (bool, error) { return false, nil }

// events reads all files, each of which must be whole.
func (m *memory) events(t *testing.T) []auditlog.Event {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []auditlog.Event
	for _, name := range slices.Sorted(maps.Keys(m.files)) {
		torn, err := auditlog.Read(bytes.NewReader(m.files[name].Bytes()), name, func(e auditlog.Event) error {
			all = append(all, e)
			return nil
		})
		if err != nil || torn {
			t.Errorf("%s: torn %t, error %v", name, torn, err)
		}
	}
	return all
}

func step(id int64) auditlog.Event {
	return auditlog.Event{Kind: auditlog.KindStep, Step: &auditlog.Step{Session: "s", StepID: id}}
}

func begin(m *memory, o Options) *Writer {
	m.files = map[string]*bytes.Buffer{}
	if o.FileBytes == 0 {
		o.FileBytes, o.TotalBytes = 1<<20, 4<<20
	}
	if o.FileAge == 0 {
		o.FileAge = time.Hour
	}
	if o.Queue == 0 {
		o.Queue = 64
	}
	o.Open.Format = auditlog.Format
	return start(o, m, slog.New(slog.DiscardHandler))
}

// steps returns the ids of the steps in the events, and how many are said to be missing.
func steps(events []auditlog.Event) (ids []int64, dropped uint64) {
	for _, e := range events {
		switch e.Kind {
		case auditlog.KindStep:
			ids = append(ids, e.Step.StepID)
		case auditlog.KindDropped:
			dropped += e.Dropped.Count
		}
	}
	return ids, dropped
}

func TestEventsAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1}
		j := begin(m, Options{})
		for id := range int64(5) {
			j.Record(step(id))
		}
		synctest.Wait()
		if s := j.Status(); s.Written != 5 || s.Dropped != 0 || s.File != "001" || s.Error != "" {
			t.Errorf("the status is %+v", s)
		}
		j.Close()
		j.Close()
		j.Record(step(9)) // comes to nothing, and does no harm
		ids, dropped := steps(m.events(t))
		if !slices.Equal(ids, []int64{0, 1, 2, 3, 4}) || dropped != 0 {
			t.Errorf("steps %v, %d dropped", ids, dropped)
		}
	})
}

// A file is exchanged when it is full, and when it is old; no file is larger than it may be.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1}
		j := begin(m, Options{FileBytes: 1000, TotalBytes: 4000, FileAge: time.Minute})
		for id := range int64(30) {
			j.Record(step(id))
		}
		synctest.Wait()
		made, largest := m.look()
		if made < 3 || largest > 1000 {
			t.Errorf("%d files for 30 events, the largest of %d bytes", made, largest)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if later, _ := m.look(); later != made+1 {
			t.Errorf("%d files after a minute, want one more than %d", later, made)
		}
		j.Close()
		if ids, dropped := steps(m.events(t)); len(ids) != 30 || dropped != 0 {
			t.Errorf("%d steps, %d dropped", len(ids), dropped)
		}
	})
}

// A disk that is full costs events, which are counted and told, and nothing else; when there
// is room again the record goes on.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1}
		j := begin(m, Options{})
		j.Record(step(1))
		synctest.Wait()
		m.setRoom(20) // in the middle of a line
		j.Record(step(2))
		synctest.Wait()
		if s := j.Status(); !strings.Contains(s.Error, "no space left") || s.Since.IsZero() || s.Written != 1 || s.Dropped != 1 || s.File != "" {
			t.Errorf("on a full disk the status is %+v", s)
		}
		m.setRoom(0)
		j.Record(step(3))
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := j.Status(); s.Error == "" || s.Dropped != 2 {
			t.Errorf("a minute later the status is %+v", s)
		}
		m.setRoom(-1)
		time.Sleep(2 * retryInterval)
		j.Record(step(4))
		synctest.Wait()
		if s := j.Status(); s.Error != "" || s.File == "" || s.Dropped != 2 {
			t.Errorf("with room again the status is %+v", s)
		}
		j.Close()
		if ids, dropped := steps(m.events(t)); !slices.Equal(ids, []int64{1, 4}) || dropped != 2 {
			t.Errorf("steps %v, %d told as dropped", ids, dropped)
		}
	})
}

// A disk that does not answer never holds back who records.
func TestRecordNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1, stuck: make(chan struct{})}
		j := begin(m, Options{Queue: 16})
		synctest.Wait() // it waits for the disk
		for id := range int64(100) {
			j.Record(step(id)) // a bubble in which this waited would be dead
		}
		if s := j.Status(); s.Dropped != 84 || s.Trouble() != "" {
			t.Errorf("%d dropped, want all that found no place; trouble %q", s.Dropped, s.Trouble())
		}
		time.Sleep(7 * time.Second)
		if got := j.Status().Trouble(); got != "the record is not written: the disk has not answered for 7s, 16 events wait" {
			t.Errorf("while the disk does not answer, the trouble is %q", got)
		}
		close(m.stuck)
		synctest.Wait()
		if s := j.Status(); s.Error != "" || !strings.HasSuffix(s.Trouble(), ": events came faster than they could be written") {
			t.Errorf("when it answers again the status is %+v", s)
		}
		time.Sleep(gapShown)
		if got := j.Status().Trouble(); got != "" {
			t.Errorf("a gap of an hour ago is still trouble: %q", got)
		}
		j.Close()
		if ids, dropped := steps(m.events(t)); len(ids) != 16 || dropped != 84 {
			t.Errorf("%d steps, %d told as dropped", len(ids), dropped)
		}
	})
}

// A change to a shorter queue is applied although more events wait than the new queue holds.
func TestChangeToAShorterQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1, stuck: make(chan struct{})}
		j := begin(m, Options{Queue: 16})
		synctest.Wait() // it waits for the disk
		for id := range int64(16) {
			j.Record(step(id))
		}
		next := &memory{room: -1, files: map[string]*bytes.Buffer{}}
		options := j.options
		options.Dir, options.Queue = "next", 4
		(&Change{writer: j, options: options, folder: next}).Apply()
		close(m.stuck)
		synctest.Wait()
		j.Record(step(16))
		j.Close()
		if s := j.Status(); s.Dropped != 0 || s.Dir != "next" {
			t.Errorf("the status is %+v", s)
		}
		if ids, dropped := steps(m.events(t)); len(ids) != 16 || dropped != 0 {
			t.Errorf("the first folder has steps %v, %d told as dropped", ids, dropped)
		}
		if ids, dropped := steps(next.events(t)); !slices.Equal(ids, []int64{16}) || dropped != 0 {
			t.Errorf("the next folder has steps %v, %d told as dropped", ids, dropped)
		}
	})
}

// What the disk took and did not keep is not told as written alone.
func TestSyncFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1, sync: syscall.EIO}
		j := begin(m, Options{FileAge: time.Minute})
		j.Record(step(1))
		j.Record(step(2))
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if s := j.Status(); s.Lost != 2 || s.Error != "" || !strings.HasSuffix(s.Trouble(), ": input/output error") {
			t.Errorf("the status is %+v", s)
		}
		j.Close()
		if _, dropped := steps(m.events(t)); dropped != 2 {
			t.Errorf("the record tells of %d that are missing", dropped)
		}
	})
}

func TestCloseEndsThoughTheDiskDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{room: -1, stuck: make(chan struct{})}
		j := begin(m, Options{})
		began := time.Now()
		j.Close()
		if took := time.Since(began); took != closeTimeout {
			t.Errorf("it took %v", took)
		}
		close(m.stuck)
	})
}

// The real folder: it is made, its oldest files go, and foreign files stay.
func TestDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "record")
	j, err := Open(Options{Dir: dir, FileBytes: 2000, TotalBytes: 6000, FileAge: time.Hour, Queue: 1000,
		Open: auditlog.Open{Format: auditlog.Format}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(dir, "notes.jsonl")
	if err := os.WriteFile(foreign, bytes.Repeat([]byte("x"), 9000), 0o600); err != nil {
		t.Fatal(err)
	}
	for id := range int64(300) {
		j.Record(step(id))
	}
	j.Close()
	names, err := filepath.Glob(filepath.Join(dir, "steps-*"))
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o640 || info.Size() > 2000 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
		total += info.Size()
	}
	if len(names) < 2 || total > 6000 {
		t.Errorf("%d files of %d bytes", len(names), total)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	found, err := auditlog.ReadSession(dir, "s")
	if n := len(found.Steps); err != nil || n == 0 || found.Steps[n-1].StepID != 299 || found.Steps[0].StepID != int64(300-n) {
		t.Errorf("%d steps are left, error %v", n, err)
	}
}

func TestFoldersThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below"), "/proc/nothing"} {
		if j, err := Open(Options{Dir: dir}, slog.New(slog.DiscardHandler)); err == nil {
			j.Close()
			t.Errorf("%s can be used", dir)
		}
	}
}

func TestTransientErrors(t *testing.T) {
	for err, want := range map[error]bool{
		&os.PathError{Op: "write", Err: syscall.ENOSPC}: true, syscall.EDQUOT: true, syscall.EACCES: false, errors.New("x"): false,
	} {
		if got := isTransient(err); got != want {
			t.Errorf("%v: %t", err, got)
		}
	}
}
