package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// Many clients commit at once on a real disk: each finds its own revisions, and what is stored is what
// each committed last.
func TestConcurrent(t *testing.T) {
	levels(t, func(t *testing.T, powerCut bool) {
		const clients, steps = 64, 50
		o := Options{Dir: filepath.Join(t.TempDir(), "s"), PowerCut: powerCut}
		f := open(t, o)
		if f.Waits() != powerCut {
			t.Errorf("Waits is %v", f.Waits())
		}
		var all sync.WaitGroup
		for n := range clients {
			all.Go(func() {
				key, was := fmt.Sprintf("key%d", n), Revision(0)
				for i := range steps {
					now, err := commitTo(context.Background(), f, record(key, i), was)
					if err != nil || now == was {
						t.Errorf("revision %d, error %v", now, err)
					}
					was = now
					if n%4 == 0 && i%7 == 3 {
						f.Forget(key)
						was = 0
					}
					_ = f.Status()
				}
			})
		}
		all.Wait()
		s := f.Status()
		if s.Commits != clients*steps || s.Sessions != clients || powerCut && s.Syncs > s.Commits/4 {
			t.Errorf("status %+v", s)
		}
		must(t, f.Close())
		for _, r := range open(t, o).Restored() {
			if r.Position != steps-1 {
				t.Errorf("%s is at %d", r.Key, r.Position)
			}
		}
	})
}

// TestTogether: commits that were begun are written together by the first that is waited for, and it fails
// for all of them or for none.
func TestTogether(t *testing.T) {
	for _, failure := range []error{nil, unix.ENOSPC} {
		d := newMemoryDisk()
		f := open(t, Options{disk: d, clock: testClock(1)})
		keys := []string{"a", "b", "c"}
		revisions, commits := make([]Revision, len(keys)), make([]Commit, len(keys))
		for i, key := range keys {
			revisions[i] = store(t, f, record(key, 1), 0)
		}
		for position := range 3 {
			writes := len(d.events)
			for i, key := range keys {
				c, err := f.Begin(record(key, 2+position), revisions[i])
				must(t, err)
				commits[i] = c
			}
			d.fail = func(_, _ string) (int, error) { return 0, failure }
			for i := range keys {
				now, err := f.Wait(t.Context(), commits[i])
				if !errors.Is(err, failure) || failure != nil && !errors.Is(err, ErrAway) {
					t.Errorf("error %v, want %v", err, failure)
				}
				if err == nil {
					revisions[i] = now
				}
			}
			d.fail = nil
			if n := len(d.events) - writes; failure == nil && n != 1 {
				t.Errorf("%d operations for one group", n)
			}
		}
		for i, key := range keys {
			store(t, f, record(key, 9), revisions[i])
		}
		for _, r := range open(t, Options{disk: d.clone(), clock: testClock(1)}).Restored() {
			if r.Position != 9 {
				t.Errorf("%s is at %d", r.Key, r.Position)
			}
		}
	}
}

// A gate holds the syncs of a disk.
type gate struct {
	entered chan struct{}
	leave   chan error
}

func newGate(d *memoryDisk) *gate {
	g := &gate{make(chan struct{}), make(chan error)}
	d.fail = func(kind, _ string) (int, error) {
		if kind != "sync" {
			return 0, nil
		}
		g.entered <- struct{}{}
		return 0, <-g.leave
	}
	return g
}

// A commit that is given up is in doubt, whether it waits for the disk or for others that do. The next
// commit of the key settles it, with the revision that the caller knows.
func TestAbandon(t *testing.T) {
	for _, then := range []string{"commit", "commit early", "forget"} {
		t.Run(then, func(t *testing.T) {
			d := newMemoryDisk()
			f := open(t, Options{PowerCut: true, disk: d, clock: testClock(1)})
			a, b := store(t, f, record("a", 1), 0), store(t, f, record("b", 1), 0)
			disk := newGate(d)
			results := make(chan error)
			go func() { _, err := commitTo(context.Background(), f, record("b", 2), b); results <- err }()
			<-disk.entered
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _, err := commitTo(ctx, f, record("a", 2), a); results <- err }()
			waitPending(t, f, 1)
			cancel()
			if err := <-results; !errors.Is(err, ErrInDoubt) || !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v", err)
			}
			early := then == "commit early"
			if then == "forget" {
				f.Forget("a")
			}
			if early {
				go func() { _, err := commitTo(context.Background(), f, record("a", 3), a); results <- err }()
				waitPending(t, f, 2)
			}
			disk.leave <- nil // of b
			if early {
				<-disk.entered
				disk.leave <- nil
				must(t, <-results)
			}
			must(t, <-results)
			d.fail = nil
			want := map[string]int{"a": 3, "b": 3}
			switch then {
			case "commit":
				store(t, f, record("b", 3), f.index.byKey["b"].revision) // with the one that was given up
				a = store(t, f, record("a", 3), a)
				store(t, f, record("a", 4), a)
				want["a"] = 4
			case "commit early":
				store(t, f, record("b", 3), f.index.byKey["b"].revision)
			case "forget":
				store(t, f, record("b", 3), f.index.byKey["b"].revision)
				delete(want, "a")
				store(t, f, record("b", 3), f.index.byKey["b"].revision)
			}
			f = open(t, Options{disk: d.clone(), clock: testClock(1)})
			if got := positions(f.Restored()); !cmp.Equal(got, want) {
				t.Errorf("found %v, want %v", got, want)
			}
		})
	}
}

// TestWaitEndsWithItsContext: a disk that does not answer holds no commit beyond its context, also the one that
// has the group written. The next commits settle them.
func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newMemoryDisk()
		f := open(t, Options{PowerCut: true, disk: d, clock: testClock(1)})
		revisions := map[string]Revision{"a": store(t, f, record("a", 1), 0), "b": store(t, f, record("b", 1), 0)}
		disk := newGate(d)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		results := make(chan error)
		for key, was := range revisions {
			go func() { _, err := commitTo(ctx, f, record(key, 2), was); results <- err }()
		}
		<-disk.entered
		began := time.Now()
		for range revisions {
			if err := <-results; !errors.Is(err, ErrInDoubt) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		d.fail = nil
		disk.leave <- nil
		for key, was := range revisions {
			store(t, f, record(key, 3), was)
		}
		must(t, f.Close())
	})
}

// TestSettleEndsTheGroup: a commit that finds its group settled may take it for later commits at once.
func TestSettleEndsTheGroup(t *testing.T) {
	f := open(t, Options{PowerCut: true, disk: newMemoryDisk(), clock: testClock(1)})
	for range 100 {
		g := f.newGroup()
		g.waiting.Add(1)
		left := make(chan struct{})
		go func() {
			defer close(left)
			for !g.settled.Load() {
				runtime.Gosched()
			}
			f.leave(g)
		}()
		g.settle(nil, new(group))
		<-left
	}
}

// waitPending waits until n commits are in the next group.
func waitPending(t *testing.T, f *File, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		f.mu.Lock()
		pending := len(f.pending.ops)
		f.mu.Unlock()
		if pending == n {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d commits are pending, want %d", pending, n)
		}
	}
}

// What the disk cannot do is told in a sentence, in the status too until a commit succeeds; all that
// was stored stays.
func TestFailures(t *testing.T) {
	const trouble = "the session cannot be stored: "
	for name, test := range map[string]struct {
		kinds    map[string]error
		powerCut bool
		want     error // nil for a commit that succeeds nevertheless
		text     string
	}{
		"full disk":        {map[string]error{"write": unix.ENOSPC}, false, ErrAway, trouble + "no space left on device; free some space on the agent's disk"},
		"quota":            {map[string]error{"write": unix.EDQUOT}, true, ErrAway, trouble + "disk quota exceeded; free some space on the agent's disk"},
		"read-only":        {map[string]error{"write": unix.EROFS, "truncate": unix.EROFS}, false, ErrAway, trouble + "read-only file system; make the agent's disk writable again"},
		"broken":           {map[string]error{"write": unix.EIO, "truncate": unix.EIO}, true, ErrAway, trouble + "input/output error; check the agent's disk"},
		"no sync":          {map[string]error{"sync": unix.EIO}, true, ErrInDoubt, "it is not known whether the session was stored: input/output error; check the agent's disk"},
		"no sync of names": {map[string]error{"names": unix.EIO, "sync": unix.EIO}, true, ErrInDoubt, "it is not known whether the session was stored: input/output error; check the agent's disk"},
		"names alone":      {map[string]error{"names": unix.EIO}, true, nil, ""},
		"no new log":       {map[string]error{"create": unix.ENOSPC}, true, nil, ""},
		"no removal":       {map[string]error{"remove": unix.EIO}, false, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := newMemoryDisk()
			f := open(t, Options{PowerCut: test.powerCut, disk: d, clock: testClock(1)})
			a := store(t, f, record("a", 1), 0)
			d.fail = func(kind, _ string) (int, error) { return 30, test.kinds[kind] }
			for range 3 {
				now, err := commitTo(t.Context(), f, record("a", 2), a)
				if s := f.Status(); !errors.Is(err, test.want) || s.Trouble != test.text || err != nil && err.Error() != test.text {
					t.Errorf("error %v, status %+v", err, s)
				}
				if err == nil {
					a = now
				}
				f.compactAt = 0
			}
			d.fail = nil
			store(t, f, record("a", 3), a)
			if s := f.Status(); s.Trouble != "" {
				t.Errorf("status %+v", s)
			}
			reopened := open(t, Options{disk: d.clone(), clock: testClock(1)})
			if got := positions(reopened.Restored()); got["a"] != 3 {
				t.Errorf("found %v", got)
			}
			must(t, f.Close())
		})
	}
}

// A folder that cannot be read or written ends the start with a sentence, and what it holds stays.
func TestStartFails(t *testing.T) {
	d := newMemoryDisk()
	o := Options{Dir: "/srv/s", disk: d, clock: testClock(1)}
	store(t, open(t, o), record("a", 1), 0)
	for kind, want := range map[string]string{
		"read":   "the sessions in /srv/s/log-2 cannot be read: input/output error; check the disk, or move the file away to start without them",
		"create": "the folder /srv/s cannot be written: input/output error; check the agent's disk",
		"write":  "the folder /srv/s cannot be written: input/output error; check the agent's disk",
		"sync":   "the folder /srv/s cannot be written: input/output error; check the agent's disk",
		"names":  "the folder /srv/s cannot be written: input/output error; check the agent's disk",
	} {
		d.fail = func(k, _ string) (int, error) {
			if k == kind {
				return 5, unix.EIO
			}
			return 0, nil
		}
		_, err := Open(o)
		if err == nil || strings.ReplaceAll(err.Error(), d.last().name, "log-2") != want {
			t.Errorf("%s: error %v", kind, err)
		}
		d.fail = nil
		if got := positions(open(t, o).Restored()); got["a"] != 1 {
			t.Errorf("%s: found %v", kind, got)
		}
	}
}
