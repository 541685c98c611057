package filewatch

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long something may take that comes at once.
const patience = time.Minute

// settle is long enough for a loaded machine to make several changes within it.
const settle = 100 * time.Millisecond

// A journal is a log that can be read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// A scene is a folder with the files a and b, which are watched.
type scene struct {
	t       *testing.T
	dir     string
	log     *journal
	watcher *Watcher
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, dir: t.TempDir(), log: &journal{}}
	s.write("a", "one")
	s.write("b", "one")
	s.watcher = New(slog.New(slog.NewTextHandler(s.log, nil)))
	t.Cleanup(func() {
		s.watcher.Close()
		for range s.watcher.Changed() {
			continue // until it has ended
		}
	})
	return s
}

func (s *scene) at(name string) string { return filepath.Join(s.dir, name) }

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) write(name, text string) {
	s.t.Helper()
	s.must(os.WriteFile(s.at(name), []byte(text), 0o600))
}

// watch watches and returns when that is in force: a change from before is told.
func (s *scene) watch(names ...string) {
	s.t.Helper()
	var paths []string
	for _, name := range names {
		paths = append(paths, s.at(name))
	}
	s.watcher.Watch(paths, settle, time.Unix(1, 0)) // since when all of it is new
	s.told(names...)
}

// told waits for a change of these files.
func (s *scene) told(names ...string) {
	s.t.Helper()
	select {
	case change := <-s.watcher.Changed():
		got := change.Files
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], s.dir+"/")
		}
		if !slices.Equal(got, names) {
			s.t.Fatalf("changes of %q are told, want %q", got, names)
		}
	case <-time.After(patience):
		s.t.Fatalf("no change is told, want %q; the log:\n%s", names, s.log)
	}
	if err := s.watcher.Err(); err != nil {
		s.t.Error(err)
	}
}

// TestChanges makes one change after the other, each of which is told.
func TestChanges(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.must(os.Mkdir(s.at("v1"), 0o700))
	s.must(os.Mkdir(s.at("v2"), 0o700))
	s.write("v1/c", "one")
	s.write("v2/c", "two")
	s.must(os.Symlink("v1", s.at("now")))
	s.must(os.Symlink("now/c", s.at("c"))) // as the config of a pod
	s.must(os.Mkdir(s.at("d"), 0o700))
	s.watch("a", "b", "c", "d")
	for _, change := range []struct {
		name string
		make func()
		file string
	}{
		{"a write", func() { s.write("a", "two") }, "a"},
		{"a rename over it", func() { s.write("new", "three"); s.must(os.Rename(s.at("new"), s.at("a"))) }, "a"},
		{"away and again", func() { s.must(os.Rename(s.at("b"), s.at("b~"))); s.write("b", "two") }, "b"},
		{"a mode", func() { s.must(os.Chmod(s.at("a"), 0o644)) }, "a"},
		{"a removal", func() { s.must(os.Remove(s.at("b"))) }, "b"},
		{"again", func() { s.write("b", "three") }, "b"},
		{"a link on the way", func() {
			s.must(os.Symlink("v2", s.at("next")))
			s.must(os.Rename(s.at("next"), s.at("now")))
		}, "c"},
		{"the file behind it", func() { s.write("v2/c", "three") }, "c"},
		{"a folder on the way", func() {
			s.must(os.Rename(s.at("v2"), s.at("v3")))
			s.must(os.Mkdir(s.at("v2"), 0o700))
			s.write("v2/c", "four")
		}, "c"},
		{"a file in a folder", func() { s.write("d/10.toml", "one") }, "d"},
		{"the same again", func() { s.write("d/10.toml", "two") }, "d"},
	} {
		t.Log(change.name)
		change.make()
		s.told(change.file)
	}
}

// TestOneForMany: changes that come close to each other are told together, and what does not matter is
// not told.
func TestOneForMany(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.watch("a", "b")
	began := time.Now()
	const writes = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range writes {
			s.write(".a.swp", "x") // an editor's
			s.write("a", "x")
			s.write("b", "x")
		}
		s.write("b", "the last")
	}()
	told := 0
	for {
		select {
		case got := <-s.watcher.Changed():
			told++
			if slices.Contains(got.Files, s.at(".a.swp")) {
				t.Errorf("got %q", got.Files)
			}
		case <-time.After(patience):
			t.Fatal("nothing more is told")
		}
		select {
		case <-done:
			if most := int(time.Since(began)/settle) + 1; told > most {
				t.Errorf("%d times, want %d at most", told, most)
			}
			return
		default:
		}
	}
}

// TestHalfAFile: a file is not told of while it is open for writing, however long the writer rests,
// and under whatever name it was written.
func TestHalfAFile(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(s *scene) *os.File{
		"in place": func(s *scene) *os.File {
			f, err := os.OpenFile(s.at("a"), os.O_WRONLY|os.O_TRUNC, 0)
			s.must(err)
			return f
		},
		"renamed too early": func(s *scene) *os.File {
			f, err := os.Create(s.at("new"))
			s.must(err)
			_, err = f.WriteString("quarter")
			s.must(err)
			s.must(os.Rename(s.at("new"), s.at("a")))
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			s.watch("a", "b")
			f := open(s)
			_, err := f.WriteString("half")
			s.must(err)
			for began := time.Now(); !strings.Contains(s.log.String(), "is being written to; the reload waits"); time.Sleep(time.Millisecond) {
				select {
				case got := <-s.watcher.Changed():
					t.Fatalf("half a file is told of: %q", got.Files)
				default:
				}
				if time.Since(began) > patience {
					t.Fatal("nothing is seen of the write")
				}
			}
			_, err = f.WriteString(" and whole")
			s.must(err)
			s.must(f.Close())
			s.told("a")
		})
	}
}

// TestClosedLater: a file that was found as it is before its writer closed it is told of once it is closed:
// a reader has refused it until then.
func TestClosedLater(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	f, err := os.OpenFile(s.at("a"), os.O_WRONLY|os.O_TRUNC, 0)
	s.must(err)
	_, err = f.WriteString("whole")
	s.must(err)
	s.watch("a", "b") // which finds it as it stays
	s.must(f.Close())
	s.told("a")
}

// TestSince: a file that has changed between its being read and its being watched has changed.
func TestSince(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.watch("a")
	s.watcher.Watch([]string{s.at("a"), s.at("b")}, settle, time.Now().Add(time.Hour))
	s.write("a", "two")
	s.told("a") // b is as it was read
	s.watcher.Watch([]string{s.at("a")}, settle, time.Time{})
	s.write("a", "three")
	s.told("a")
	s.watcher.Watch([]string{s.at("a"), s.at("b")}, settle, time.Unix(1, 0))
	s.told("b")
}

// TestRepeat: a reader that was disturbed is told once more, though nothing has changed since.
func TestRepeat(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.watch("a", "b")
	s.write("a", "two")
	s.told("a")
	s.watcher.Repeat()
	s.told("a", "b")
}

// TestHolds: a change holds until something happens to one of the files, before it is heard of or after.
func TestHolds(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.watch("a", "b")
	s.write("a", "two")
	change := <-s.watcher.Changed()
	if !s.watcher.Holds(change) {
		t.Error("a change does not hold though nothing has happened since")
	}
	s.write("b", "longer than before")
	if s.watcher.Holds(change) {
		t.Error("a change holds though a file has been written to")
	}
	<-s.watcher.Changed()
	s.write("b", "one")
	s.told("b")
	if s.watcher.Holds(change) {
		t.Error("a change holds though a file has been written to and written back")
	}
}

// TestDecode takes what the kernel would never write, and what it does.
func TestDecode(t *testing.T) {
	t.Parallel()
	one := binary.NativeEndian.AppendUint32(nil, 7)
	one = binary.NativeEndian.AppendUint32(one, unix.IN_MOVED_TO)
	one = binary.NativeEndian.AppendUint32(one, 9)
	one = binary.NativeEndian.AppendUint32(one, 4)
	one = append(one, "ab\x00\x00"...)
	if got := decode(append(one, one[:18]...)); len(got) != 1 || got[0] != (event{7, unix.IN_MOVED_TO, 9, "ab"}) {
		t.Errorf("got %+v", got)
	}
}
