package database

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/database/spool"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// runLines returns the lines of a run of n steps that pass, each with its newline.
func runLines(t *testing.T, n int, session string) [][]byte {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	write := func(e record.Event) {
		if err := w.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	start := record.Start{Format: record.Format, Session: session, Time: time.Date(2026, 11, 30, 0, 0, 0, 1, time.UTC)}
	for i := range n {
		start.Procedure.Steps = append(start.Procedure.Steps, record.Step{StepID: int64(i), Timeout: time.Minute})
	}
	write(record.Event{Kind: record.KindStart, Start: &start})
	for i := range n {
		id := int64(i)
		write(record.Event{Kind: record.KindSent, Index: i + 1, StepID: id, Timeout: time.Minute})
		write(record.Event{Kind: record.KindReply, Index: i + 1, StepID: id, Took: time.Second, Reply: &protocol.Reply{StepID: &id}})
		if i+1 < n {
			write(record.Event{Kind: record.KindInterval, Index: i + 1, StepID: id})
		}
	}
	write(record.Event{Kind: record.KindEnd, End: &record.End{Cause: record.Finished, Counts: record.Counts{record.Passed: n}}})
	return bytes.SplitAfter(b.Bytes(), []byte{'\n'})[:3*n+1]
}

// Lines that arrive in pieces, some of them twice and from any place that is stored already, are
// stored once each, in order, and the columns follow from them.
func TestMergeStoresEachLineOnce(t *testing.T) {
	ctx := context.Background()
	db, err := Open(ctx, filepath.Join(t.TempDir(), "runs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		all := runLines(t, rapid.IntRange(1, 8).Draw(rt, "steps"), fmt.Sprint(run))
		m := Meta{Started: time.Now().UTC()}
		if err := m.check(m.Started); err != nil {
			rt.Fatal(err)
		}
		if rapid.Bool().Draw(rt, "begun") {
			if err := db.Write(ctx, func(tx *sql.Tx) error { return insertRun(ctx, db, tx, &m) }); err != nil {
				rt.Fatal(err)
			}
		}
		for stored := 0; stored < len(all); {
			first := rapid.IntRange(0, stored).Draw(rt, "first")
			end := rapid.IntRange(first, len(all)).Draw(rt, "end")
			h := spool.Header{Run: m.ID, First: int64(first) + 1, Meta: []byte("{}")}
			added, err := takeIn(ctx, db, h, bytes.Join(all[first:end], nil))
			if want := int64(max(0, end-stored)); err != nil || added != want {
				rt.Fatalf("lines %d to %d after %d: %d were new, want %d, error %v", first, end, stored, added, want, err)
			}
			stored = max(stored, end)
		}
		r, err := db.Record(ctx, m.ID)
		if err != nil {
			rt.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, bytes.Join(all, nil)) {
			rt.Fatalf("stored %s, error %v", got, err)
		}
		if wrong, err := db.Check(ctx, m.ID); err != nil || len(wrong) > 0 {
			rt.Fatalf("%q, error %v", wrong, err)
		}
	})
}

// Lines that are missing or that are others than those stored are refused, and nothing is stored.
func TestMergeRefuses(t *testing.T) {
	ctx := context.Background()
	db, err := Open(ctx, filepath.Join(t.TempDir(), "runs.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	all := runLines(t, 2, "")
	h := spool.Header{Run: NewID(time.Now()), First: 1, Meta: []byte("{}")}
	if _, err := takeIn(ctx, db, h, bytes.Join(all[:3], nil)); err != nil {
		t.Fatal(err)
	}
	for first, lines := range map[int64][]byte{5: all[4], 2: all[2]} {
		h.First = first
		if n, err := takeIn(ctx, db, h, lines); err == nil || n != 0 {
			t.Errorf("line %d: %d were stored, error %v", first, n, err)
		}
	}
	h.Run = NewID(time.Now().Add(time.Hour))
	if _, err := takeIn(ctx, db, h, all[1]); err == nil {
		t.Error("a run without its beginning was stored")
	}
}
