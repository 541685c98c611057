package auditwriter

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// must fails the test if err is not nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func usual(dir string) Options {
	return Options{Dir: dir, FileBytes: 1 << 20, TotalBytes: 4 << 20, FileAge: time.Hour, Queue: 1000,
		Open: auditlog.Open{Format: auditlog.Format}}
}

func opened(t *testing.T, o Options) *Writer {
	t.Helper()
	j, err := Open(o, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(j.Close)
	return j
}

// until waits until the status satisfies reached.
func until(t *testing.T, j *Writer, reached func(Status) bool) Status {
	t.Helper()
	for range 20_000 {
		if s := j.Status(); reached(s) {
			return s
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("the status stays %+v", j.Status())
	return Status{}
}

func recorded(t *testing.T, j *Writer, ids ...int64) Status {
	t.Helper()
	s := until(t, j, func(s Status) bool { return s.File != "" })
	for _, id := range ids {
		j.Record(step(id))
	}
	return until(t, j, func(now Status) bool { return now.Written+now.Dropped >= s.Written+s.Dropped+uint64(len(ids)) })
}

// found returns the step ids of the record in the folder, and how many events are missing.
func found(t *testing.T, dir string) (ids []int64, dropped uint64) {
	t.Helper()
	f, err := auditlog.ReadSession(dir, "s")
	must(t, err)
	for _, s := range f.Steps {
		ids = append(ids, s.StepID)
	}
	return ids, f.Dropped
}

func openLine(t *testing.T) []byte {
	t.Helper()
	line, err := auditlog.AppendLine(nil, auditlog.Event{Kind: auditlog.KindOpen, Open: &auditlog.Open{Format: auditlog.Format}})
	must(t, err)
	return line
}

// A change to the file or to its folder is noticed at the next event: the status reports it and
// counts what is gone, and the record continues in a new file, which reports it too.
func TestFileIsChecked(t *testing.T) {
	for name, test := range map[string]struct {
		harm func(t *testing.T, path string)
		lost uint64
		left []int64 // at the path of the folder in the end
	}{
		"removed":        {func(t *testing.T, path string) { must(t, os.Remove(path)) }, 3, []int64{4, 5}},
		"folder removed": {func(t *testing.T, path string) { must(t, os.RemoveAll(filepath.Dir(path))) }, 3, []int64{4, 5}},
		"emptied":        {func(t *testing.T, path string) { must(t, os.Truncate(path, int64(len(openLine(t))))) }, 3, []int64{4, 5}},
		"replaced": {func(t *testing.T, path string) {
			must(t, os.WriteFile(path+".1", openLine(t), 0o600))
			must(t, os.Rename(path+".1", path))
		}, 3, []int64{4, 5}},
		"moved to archive": {func(t *testing.T, path string) { must(t, os.Rename(path, filepath.Join(t.TempDir(), "archived"))) }, 3, []int64{4, 5}},
		"folder renamed":   {func(t *testing.T, path string) { must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".1")) }, 3, []int64{4, 5}},
		"added to": {func(t *testing.T, path string) {
			file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			must(t, err)
			_, err = file.Write(openLine(t))
			must(t, errors.Join(err, file.Close()))
		}, 0, []int64{1, 2, 3, 4, 5}},
		"folder is a link": {func(t *testing.T, path string) {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".1"))
			must(t, os.Symlink(filepath.Dir(path)+".1", filepath.Dir(path)))
		}, 0, []int64{1, 2, 3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "record")
			j := opened(t, usual(dir))
			before := recorded(t, j, 1, 2, 3)
			test.harm(t, filepath.Join(dir, before.File))
			recorded(t, j, 4, 5)
			if test.lost > 0 {
				until(t, j, func(s Status) bool { return s.Lost == test.lost })
			}
			s := j.Status()
			if s.Lost != test.lost || s.Dropped != 0 || s.Error != "" || (s.Trouble() == "") != (name == "folder is a link") {
				t.Errorf("the status is %+v, trouble %q", s, s.Trouble())
			}
			j.Close()
			if ids, dropped := found(t, dir); !slices.Equal(ids, test.left) || dropped != test.lost {
				t.Errorf("the record tells of %v, and of %d that are missing", ids, dropped)
			}
		})
	}
}

// The clock has no say in which files are the oldest: neither one that was ahead when the
// files of earlier versions were named, nor one that goes back.
func TestClockThatWasAhead(t *testing.T) {
	dir := t.TempDir()
	ahead := []string{
		"steps-20360101T000000.000000000Z.jsonl", "steps-20460101T000000.000000000Z.jsonl",
		auditlog.FileName(41, time.Date(2046, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
	for _, name := range ahead {
		must(t, os.WriteFile(filepath.Join(dir, name), openLine(t), 0o600))
		must(t, os.Truncate(filepath.Join(dir, name), 2900))
	}
	o := usual(dir)
	o.FileBytes, o.TotalBytes = 2000, 6000
	j := opened(t, o)
	for id := range int64(200) {
		recorded(t, j, id)
	}
	j.Close()
	for _, name := range ahead {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is older than what was written today, and is still there", name)
		}
	}
	if ids, _ := found(t, dir); len(ids) < 20 || ids[len(ids)-1] != 199 || ids[0] != int64(200-len(ids)) {
		t.Errorf("of 200 events there are %v", ids)
	}
}

func TestNumbersRise(t *testing.T) {
	f, err := openFolder(t.TempDir())
	must(t, err)
	defer f.unlock()
	var names []string
	for _, year := range []int{2026, 2046, 1970, 2026} {
		file, name, err := f.create(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC))
		must(t, err)
		must(t, file.Close())
		names = append(names, name)
	}
	must(t, os.Remove(filepath.Join(f.dir, names[3])))
	if _, name, err := f.create(time.Now()); err != nil || slices.Contains(names, name) {
		t.Errorf("a number is used again: %s, error %v", name, err)
	}
	if !slices.IsSortedFunc(names, auditlog.CompareFiles) {
		t.Errorf("the names are %q", names)
	}
}

// Files that are named otherwise, folders and links are not the agent's to remove.
func TestForeignFilesStay(t *testing.T) {
	dir := t.TempDir()
	foreign := []string{"steps-mine.jsonl", "steps-20260101T000000.000000000Z.jsonl.bak", "run.jsonl", "steps-.jsonl"}
	for _, name := range foreign {
		must(t, os.WriteFile(filepath.Join(dir, name), make([]byte, 9000), 0o600))
	}
	foreign = append(foreign, auditlog.FileName(1, time.Now()), auditlog.FileName(2, time.Now()))
	must(t, os.Mkdir(filepath.Join(dir, foreign[4]), 0o700))
	must(t, os.Symlink("run.jsonl", filepath.Join(dir, foreign[5])))
	o := usual(dir)
	o.FileBytes, o.TotalBytes = 2000, 4000
	j := opened(t, o)
	for id := range int64(100) {
		recorded(t, j, id)
	}
	j.Close()
	for _, name := range foreign {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

// One folder has one writer: a second agent is refused, by any path, until the first has gone.
func TestTwoAgents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "record")
	j := opened(t, usual(dir))
	other := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, other))
	for _, path := range []string{dir, other} {
		if second, err := Open(usual(path), slog.New(slog.DiscardHandler)); !errors.Is(err, errLocked) {
			t.Errorf("%s: a second agent: %v, error %v", path, second, err)
		}
	}
	// The folder of the first loses its name, and another agent takes the new one: now the
	// first has none, and says so.
	recorded(t, j, 1)
	must(t, os.Rename(dir, dir+".1"))
	second := opened(t, usual(dir))
	recorded(t, j, 2)
	if s := j.Status(); !strings.Contains(s.Error, errLocked.Error()) || s.Dropped != 1 {
		t.Errorf("the first agent's status is %+v", s)
	}
	second.Close()
	j.Close()
	recorded(t, opened(t, usual(dir)), 3)
}

// A reload goes on in the same folder or in another, and loses nothing.
func TestChange(t *testing.T) {
	first, other := filepath.Join(t.TempDir(), "first"), filepath.Join(t.TempDir(), "other")
	j := opened(t, usual(first))
	recorded(t, j, 1)
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(first, link))
	taken := opened(t, usual(filepath.Join(t.TempDir(), "taken")))
	if _, err := j.Prepare(usual(taken.Status().Dir)); !errors.Is(err, errLocked) {
		t.Errorf("the folder of another agent: error %v", err)
	}
	dropped, err := j.Prepare(usual(other))
	must(t, err)
	dropped.Drop()
	for i, dir := range []string{first, link, other, first} {
		change, err := j.Prepare(usual(dir))
		must(t, err)
		change.Apply()
		until(t, j, func(s Status) bool { return s.Dir == dir && s.File != "" })
		recorded(t, j, int64(i+2))
	}
	j.Close()
	if ids, _ := found(t, first); !slices.Equal(ids, []int64{1, 2, 3, 5}) {
		t.Errorf("the first folder has %v", ids)
	}
	if ids, _ := found(t, other); !slices.Equal(ids, []int64{4}) {
		t.Errorf("the other folder has %v", ids)
	}
	recorded(t, opened(t, usual(other)), 6) // it has been given up
}

// A folder in which nothing can be made any more is told, and taken again later.
func TestFolderBecomesAFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "record")
	j := opened(t, usual(dir))
	recorded(t, j, 1)
	must(t, os.RemoveAll(dir))
	must(t, os.WriteFile(dir, nil, 0o600))
	recorded(t, j, 2)
	if s := j.Status(); !strings.Contains(s.Error, "cannot make the folder") || s.Dropped != 1 || s.Lost != 1 || s.File != "" {
		t.Errorf("the status is %+v", s)
	}
	if got := fmt.Sprint(j.Status().Trouble()); !strings.HasPrefix(got, "the record is not written: cannot make the folder") {
		t.Errorf("trouble %q", got)
	}
}
