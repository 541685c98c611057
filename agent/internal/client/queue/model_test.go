package queue

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
)

// A model is the queue as a slice: what the table and its statements must do.
type model struct {
	now     time.Time
	entries []*modelEntry
}

type modelEntry struct {
	id, priority, times, performed, attempt int64
	board                                   string
	due, added, until                       time.Time
	every                                   time.Duration
	state                                   State
	holder                                  *Claim // of a running entry
}

func (m *model) order(e *modelEntry) time.Time {
	if e.due.IsZero() {
		return e.added
	}
	return e.due
}

// next returns the entry that a claim for the boards must return; nil for none.
func (m *model) next(boards []string) *modelEntry {
	var found []*modelEntry
	for _, e := range m.entries {
		if e.state == Running && e.until.Before(m.now) && slices.Contains(boards, e.board) {
			found = append(found, e)
		}
	}
	if len(found) == 0 {
		for _, e := range m.entries {
			busy := slices.ContainsFunc(m.entries, func(o *modelEntry) bool { return o.board == e.board && o.state == Running })
			if e.state == Waiting && !m.order(e).After(m.now) && !busy && slices.Contains(boards, e.board) {
				found = append(found, e)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	return slices.MinFunc(found, func(a, b *modelEntry) int {
		if a.state == Running {
			return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.id, b.id))
		}
		return cmp.Or(cmp.Compare(b.priority, a.priority), m.order(a).Compare(m.order(b)), cmp.Compare(a.id, b.id))
	})
}

// finish is what a performed entry becomes. A plan is counted step by step.
func (e *modelEntry) finish(m *model, claimed time.Time) {
	e.performed++
	e.holder = nil
	if e.times > 0 && e.performed == e.times || e.times == 0 && e.every == 0 {
		e.state = Done
		return
	}
	e.state, e.attempt = Waiting, 0
	if e.every > 0 {
		due := m.order(e)
		for !due.After(claimed) {
			due = due.Add(e.every)
		}
		e.due = due
	}
}

// Whatever adds, claims, renewals, endings, cancellations, killed workers and passing time there are,
// the queue does what the model does.
func TestModel(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		rapid.Check(t, func(rt *rapid.T) {
			h := &harness{t: rt, db: db, q: New(db, 10*time.Second), boards: []string{"a", "b", "c"}}
			h.q.now = func() time.Time { return h.m.now }
			h.m.now = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
			h.must(db.Write(context.Background(), func(tx *sql.Tx) error {
				_, err := tx.Exec("DELETE FROM queue")
				return err
			}))
			rt.Repeat(map[string]func(*rapid.T){
				"add": h.add, "claim": h.claim, "claim again": h.claim, "renew": h.renew, "finish": h.finish, "release": h.release,
				"cancel": h.cancel, "pass": h.pass, "": h.compare,
			})
		})
	})
}

// A harness does the same to the queue and to the model.
type harness struct {
	t      *rapid.T
	db     *database.DB
	q      *Queue
	m      model
	claims []*Claim // all that there ever were
	boards []string
}

func (h *harness) must(err error) {
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *harness) add(t *rapid.T) {
	e := &modelEntry{
		board: rapid.SampledFrom(h.boards).Draw(t, "board"), priority: rapid.Int64Range(-1, 1).Draw(t, "priority"),
		times: rapid.Int64Range(0, 2).Draw(t, "times"), every: rapid.SampledFrom([]time.Duration{0, 0, 7 * time.Second}).Draw(t, "every"),
		added: h.m.now, state: Waiting,
	}
	if after := rapid.IntRange(-5, 20).Draw(t, "due"); after >= 0 {
		e.due = h.m.now.Add(time.Duration(after) * time.Second)
	}
	want := Entry{Procedure: "p", Board: e.board, Priority: e.priority, Times: e.times, Due: e.due}
	if e.every > 0 {
		want.Every = e.every.String()
	}
	got, err := h.q.Add(context.Background(), want)
	h.must(err)
	e.id = got.ID
	h.must(h.db.Write(context.Background(), func(tx *sql.Tx) error { // its default is the real time
		_, err := tx.Exec("UPDATE queue SET added = $1 WHERE id = $2", database.Time(h.m.now), e.id)
		return err
	}))
	h.m.entries = append(h.m.entries, e)
}

func (h *harness) claim(t *rapid.T) {
	boards := slices.DeleteFunc(slices.Clone(h.boards), func(string) bool { return rapid.IntRange(0, 3).Draw(t, "busy") == 0 })
	wait, ok, err := h.q.Wait(context.Background(), boards)
	h.must(err)
	got, err := h.q.Claim(context.Background(), Wanted{Worker: "w", Boards: boards})
	h.must(err)
	want := h.m.next(boards)
	switch {
	case want == nil && got == nil:
		if ok && wait == 0 && !h.m.leaseEndsNow(boards) {
			t.Fatal("an entry is due and is not claimed")
		}
		return
	case want == nil || got == nil || want.id != got.ID:
		t.Fatalf("claimed %+v, want %+v", got, want)
	case !ok || wait != 0:
		t.Fatalf("an entry is claimed that is due after %s, %v", wait, ok)
	}
	if (want.attempt > 0) != (got.Interrupted != "") {
		t.Fatalf("attempt %d is after the run %q", want.attempt+1, got.Interrupted)
	}
	if want.every > 0 {
		want.due = h.m.order(want)
	}
	want.state, want.holder, want.until = Running, got, h.m.now.Add(10*time.Second)
	want.attempt++
	h.claims = append(h.claims, got)
}

// leaseEndsNow reports whether a lease ends just now, so that its entry can be claimed after the least time.
func (m *model) leaseEndsNow(boards []string) bool {
	return slices.ContainsFunc(m.entries, func(e *modelEntry) bool {
		return e.state == Running && slices.Contains(boards, e.board) && e.until.Equal(m.now)
	})
}

// some draws a claim, which may be lost already, and returns its entry in the model if it is not.
func (h *harness) some(t *rapid.T) (*Claim, *modelEntry) {
	if len(h.claims) == 0 {
		t.Skip("no claim yet")
	}
	c := rapid.SampledFrom(h.claims).Draw(t, "claim")
	for _, e := range h.m.entries {
		if e.holder == c {
			return c, e
		}
	}
	return c, nil
}

// settled checks that a claim was lost exactly if the model says so.
func (h *harness) settled(t *rapid.T, e *modelEntry, err error) bool {
	var lost *LostError
	if e == nil {
		if !errors.As(err, &lost) {
			t.Fatalf("a lost claim gave %v", err)
		}
		return false
	}
	h.must(err)
	return true
}

func (h *harness) renew(t *rapid.T) {
	c, e := h.some(t)
	gone, err := h.q.Lost(context.Background(), []*Claim{c})
	h.must(err)
	if (len(gone) > 0) != (e == nil) {
		t.Fatalf("Lost returns %v", gone)
	}
	if h.settled(t, e, h.q.Renew(context.Background(), c)) {
		e.until = h.m.now.Add(10 * time.Second)
	}
}

func (h *harness) finish(t *rapid.T) {
	c, e := h.some(t)
	_, err := h.q.Finish(context.Background(), c)
	if h.settled(t, e, err) {
		e.finish(&h.m, c.Claimed)
	}
}

func (h *harness) release(t *rapid.T) {
	c, e := h.some(t)
	if h.settled(t, e, h.q.Release(context.Background(), c)) {
		e.state, e.holder = Waiting, nil
	}
}

func (h *harness) cancel(t *rapid.T) {
	if len(h.m.entries) == 0 {
		t.Skip("no entry yet")
	}
	e := rapid.SampledFrom(h.m.entries).Draw(t, "entry")
	_, err := h.q.Cancel(context.Background(), e.id)
	open := e.state == Waiting || e.state == Running
	if open != (err == nil) {
		t.Fatalf("cancelling a %s entry gave %v", e.state, err)
	}
	if open {
		e.state, e.holder = Cancelled, nil
	}
}

func (h *harness) pass(t *rapid.T) {
	h.m.now = h.m.now.Add(time.Duration(rapid.IntRange(1, 15).Draw(t, "seconds")) * time.Second)
}

// compare compares all entries, and that no board has two runs.
func (h *harness) compare(t *rapid.T) {
	list, err := h.q.List(context.Background(), Filter{})
	h.must(err)
	if len(list) != len(h.m.entries) {
		t.Fatalf("%d entries, want %d", len(list), len(h.m.entries))
	}
	running := map[string]int{}
	for i, got := range list {
		want := h.m.entries[i]
		if got.ID != want.id || got.State != want.state || got.Performed != want.performed || got.Attempt != want.attempt ||
			!got.Due.Equal(want.due) || want.state == Running && !got.LeasedUntil.Equal(want.until) {
			t.Fatalf("entry %+v, want %+v", got, *want)
		}
		if got.State == Running {
			if running[got.Board]++; running[got.Board] > 1 {
				t.Fatalf("the board %s has two runs", got.Board)
			}
		}
	}
}
