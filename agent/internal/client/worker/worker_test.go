package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/boards"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
	"github.com/stepagent/stepagent/agent/internal/client/worker"
)

const lease = 15 * time.Second

// An entry of a table.
type entry struct {
	board  string
	due    time.Time
	state  queue.State
	holder *queue.Claim
	until  time.Time
}

// A table is a queue in memory, so that workers run on virtual time. The real one is tested against a model
// in package queue, and with real workers in the scripts of stepctl.
type table struct {
	mu      sync.Mutex
	entries []*entry
	away    error // of every call
	calls   []string
}

func (t *table) lock(call string, id int64) (unlock func(), err error) {
	t.mu.Lock()
	if t.away == nil && call != "" {
		t.calls = append(t.calls, fmt.Sprintf("%s %d", call, id))
	}
	return t.mu.Unlock, t.away
}

func (t *table) add(board string, after time.Duration) {
	unlock, _ := t.lock("", 0)
	defer unlock()
	t.entries = append(t.entries, &entry{board: board, due: time.Now().Add(after), state: queue.Waiting})
}

// claimable returns the entry to claim, and in how long.
func (t *table) claimable(names []string) (found *entry, id int, wait time.Duration) {
	for i, e := range t.entries {
		at := e.due
		if e.state == queue.Running {
			at = e.until
		}
		if e.state != queue.Waiting && e.state != queue.Running || !slices.Contains(names, e.board) {
			continue
		}
		if left := max(0, time.Until(at)); found == nil || left < wait {
			found, id, wait = e, i+1, left
		}
	}
	return found, id, wait
}

func (t *table) Wait(_ context.Context, names []string) (time.Duration, bool, error) {
	unlock, err := t.lock("", 0)
	defer unlock()
	e, _, wait := t.claimable(names)
	return wait, e != nil, err
}

func (t *table) Claim(_ context.Context, w queue.Wanted) (*queue.Claim, error) {
	unlock, err := t.lock("", 0)
	defer unlock()
	e, id, wait := t.claimable(w.Boards)
	if err != nil || e == nil || wait > 0 || !w.Until.IsZero() && e.due.After(w.Until) {
		return nil, err
	}
	e.state, e.until = queue.Running, time.Now().Add(lease)
	e.holder = &queue.Claim{Entry: queue.Entry{ID: int64(id), Board: e.board, Worker: w.Worker, Run: fmt.Sprint("run of ", w.Worker)}}
	return e.holder, nil
}

func (t *table) Lost(_ context.Context, claims []*queue.Claim) (lost []*queue.LostError, err error) {
	unlock, err := t.lock("", 0)
	defer unlock()
	for _, c := range claims {
		if err == nil && t.entries[c.ID-1].holder != c {
			lost = append(lost, &queue.LostError{ID: c.ID, How: "was cancelled"})
		}
	}
	return lost, err
}

// change changes the entry of a claim that is still held.
func (t *table) change(call string, c *queue.Claim, to queue.State) error {
	unlock, err := t.lock(call, c.ID)
	defer unlock()
	e := t.entries[c.ID-1]
	switch {
	case err != nil:
		return err
	case e.holder != c:
		return &queue.LostError{ID: c.ID, How: "was taken up by another worker"}
	case to == queue.Running:
		e.until = time.Now().Add(lease)
	default:
		e.state, e.holder = to, nil
	}
	return nil
}

func (t *table) Renew(_ context.Context, c *queue.Claim) error {
	return t.change("renew", c, queue.Running)
}
func (t *table) Finish(_ context.Context, c *queue.Claim) (queue.Entry, error) {
	return c.Entry, t.change("finish", c, queue.Done)
}
func (t *table) Release(_ context.Context, c *queue.Claim) error {
	return t.change("release", c, queue.Waiting)
}
func (t *table) Fail(_ context.Context, c *queue.Claim, _ string) error {
	return t.change("fail", c, queue.Failed)
}
func (t *table) Lease() time.Duration { return lease }

// settled returns the calls besides renewals.
func (t *table) settled() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(slices.DeleteFunc(slices.Clone(t.calls), func(call string) bool { return strings.HasPrefix(call, "renew") }), ", ")
}

// A bench has the boards a, b and c, and performs entries in as many seconds as they want.
type bench struct {
	table
	log     bytes.Buffer
	options worker.Options
	mu      sync.Mutex
	busy    int // jobs now
	most    int // jobs at the same time
}

func newBench(perform func(context.Context, worker.Job) error) *bench {
	b := &bench{}
	b.options = worker.Options{
		Store: &b.table, Name: "w", Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
		Boards: []boards.Board{{Name: "a", Address: "a:1"}, {Name: "b", Address: "b:1"}, {Name: "c", Address: "c:1"}},
	}
	b.options.Perform = func(ctx context.Context, j worker.Job) error {
		b.mu.Lock()
		b.busy++
		b.most = max(b.most, b.busy)
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			b.busy--
			b.mu.Unlock()
		}()
		if want := j.Claim.Board + ":1"; j.Board.Address != want {
			return fmt.Errorf("entry %d is performed at %s", j.ID, j.Board.Address)
		}
		return perform(ctx, j)
	}
	return b
}

// sleep performs a job in a time.
func sleep(d time.Duration) func(context.Context, worker.Job) error {
	return func(ctx context.Context, _ worker.Job) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// run runs the worker until it ends by itself.
func (b *bench) run(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	if err := worker.Run(t.Context(), b.options); err != nil {
		t.Error(err)
	}
	return time.Since(began)
}

// One run at a time a board, the boards side by side, and no more at once than allowed.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	for jobs, want := range map[int]time.Duration{0: 20 * time.Second, 2: 30 * time.Second, 1: 60 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(sleep(10 * time.Second))
			for range 2 {
				b.add("a", 0)
				b.add("b", 0)
				b.add("c", 0)
			}
			b.add("unknown", 0)
			b.add("a", time.Minute)
			b.options.Jobs, b.options.Until = jobs, time.Now()
			if took := b.run(t); took != want {
				t.Errorf("%d jobs took %s, want %s", jobs, took, want)
			}
			if jobs == 0 {
				jobs = 3
			}
			if b.most != jobs || b.entries[6].state != queue.Waiting || b.entries[7].state != queue.Waiting {
				t.Errorf("%d at once; the unknown board is %s, the later entry %s", b.most, b.entries[6].state, b.entries[7].state)
			}
		})
	}
}

// An entry is performed when it is due, or when its notice comes, and long jobs keep their leases.
func TestDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var started []time.Duration
		began := time.Now()
		var mu sync.Mutex // guards started
		b := newBench(func(ctx context.Context, j worker.Job) error {
			mu.Lock()
			started = append(started, time.Since(began).Truncate(time.Second))
			mu.Unlock()
			return sleep(time.Minute)(ctx, j)
		})
		wake := make(chan struct{}, 1)
		b.options.Wake = wake
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		b.add("a", 45*time.Second)
		go func() { ended <- worker.Run(ctx, b.options) }()
		time.Sleep(72 * time.Second)
		b.add("b", 0)
		wake <- struct{}{}
		time.Sleep(2 * time.Minute)
		close(wake) // as when the connection that listens ends; the worker does not spin
		time.Sleep(time.Minute)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if fmt.Sprint(started) != "[45s 1m12s]" || b.settled() != "finish 1, finish 2" {
			t.Errorf("started after %v; %s", started, b.settled())
		}
	})
}

// A worker that is told to stop gives its entries back at once; those that end just then are finished.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(func(ctx context.Context, j worker.Job) error {
			if j.Board.Name == "b" {
				<-ctx.Done() // it ends by itself
				return nil
			}
			return sleep(time.Hour)(ctx, j)
		})
		b.add("a", 0)
		b.add("b", 0)
		b.add("a", 0)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := worker.Run(ctx, b.options); err != nil || time.Since(began) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		if got := b.settled(); got != "finish 2, release 1" && got != "release 1, finish 2" {
			t.Error(got)
		}
	})
}

// What cannot be performed fails its entry; another error gives it back.
func TestErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		b := newBench(func(_ context.Context, j worker.Job) error {
			if j.Board.Name == "a" {
				return &worker.UnsoundError{Err: errors.New("no such procedure")}
			}
			if tries++; tries == 1 {
				return errors.New("the database is away")
			}
			return nil
		})
		b.add("a", 0)
		b.add("b", 0)
		b.options.Until = time.Now()
		if took := b.run(t); took > 5*time.Second {
			t.Errorf("it took %s", took)
		}
		if b.settled() != "fail 1, release 2, finish 2" || !strings.Contains(b.log.String(), "no such procedure") {
			t.Errorf("%s\n%s", b.settled(), &b.log)
		}
	})
}

// A cancelled entry interrupts its run, at the next notice.
func TestCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(sleep(time.Hour))
		wake := make(chan struct{}, 1)
		b.options.Wake, b.options.Until = wake, time.Now()
		b.add("a", 0)
		time.AfterFunc(7*time.Second, func() {
			b.table.mu.Lock()
			b.entries[0].state, b.entries[0].holder = queue.Cancelled, nil
			b.table.mu.Unlock()
			wake <- struct{}{}
		})
		if took := b.run(t); took != 7*time.Second || b.settled() != "" {
			t.Errorf("after %s: %s", took, b.settled())
		}
		if !strings.Contains(b.log.String(), "the run was interrupted; its entry was cancelled") {
			t.Error(b.log.String())
		}
	})
}

// A worker whose entry was taken up finds that out when it renews the lease, and does not settle it.
func TestTakenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(sleep(time.Hour))
		b.options.Until = time.Now()
		b.add("a", 0)
		time.AfterFunc(21*time.Second, func() {
			b.table.mu.Lock()
			b.entries[0].holder = &queue.Claim{}
			b.table.mu.Unlock()
		})
		if took := b.run(t); took > 26*time.Second || b.settled() != "" {
			t.Errorf("after %s: %s", took, b.settled())
		}
	})
}

// While the database is away runs go on, and their entries are settled when it is back. Nothing is
// claimed before other workers can have renewed their leases.
func TestAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began, started := time.Now(), []time.Duration{}
		b := newBench(func(ctx context.Context, j worker.Job) error {
			started = append(started, time.Since(began)) // one after the other
			return sleep(time.Minute)(ctx, j)
		})
		b.add("a", 0)
		b.add("a", 80*time.Second)
		away := func(err error) func() {
			return func() {
				b.table.mu.Lock()
				b.away = err
				b.table.mu.Unlock()
			}
		}
		time.AfterFunc(30*time.Second, away(errors.New("cannot reach the database")))
		time.AfterFunc(90*time.Second, away(nil))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := worker.Run(ctx, b.options); err != nil || b.settled() != "finish 1, release 2" {
			t.Errorf("%v; %s\n%s", err, b.settled(), &b.log)
		}
		if len(started) != 2 || started[1] < 90*time.Second+lease/2 || started[1] > 110*time.Second {
			t.Errorf("the runs began after %v", started)
		}
		for _, want := range []string{"cannot renew the lease of the entry; the run goes on", "cannot tell the queue that the run has ended; trying again",
			"the queue cannot be read; trying again", "the queue can be read again"} {
			if n := strings.Count(b.log.String(), want); n != 1 {
				t.Errorf("%q is logged %d times\n%s", want, n, &b.log)
			}
		}
	})
}

// A database that is away from the start, or in a worker that is to end, is an error.
func TestAwayAtFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(sleep(time.Minute))
		b.away = errors.New("cannot reach the database")
		if err := worker.Run(t.Context(), b.options); !errors.Is(err, b.away) {
			t.Errorf("got %v", err)
		}
	})
}
