package database_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// start is when the runs of these tests start.
var start = time.Date(2026, 11, 30, 0, 14, 22, 123456000, time.UTC)

// events returns the events of a run of n steps that pass, of which the step failed is refused; 0
// for none.
func events(at time.Time, n, failed int) []record.Event {
	procedure := record.Procedure{Name: "/opt/night.json", SHA256: "00ff"}
	for i := range n {
		procedure.Steps = append(procedure.Steps, record.Step{StepID: int64(i + 1), Timeout: time.Minute})
	}
	all := []record.Event{{Kind: record.KindStart, Start: &record.Start{Format: record.Format, Client: "1.2.0", Agent: "1.1.0", Host: "laptop",
		Address: "192.0.2.7:8080", Session: "s", Time: at, Procedure: procedure}}}
	var now time.Duration
	counts := record.Counts{}
	for i := range n {
		id := int64(i + 1)
		step := record.Event{At: now, Index: i + 1, StepID: id}
		sent, reply := step, step
		sent.Kind, sent.Timeout = record.KindSent, time.Minute
		now += time.Duration(i+1) * time.Millisecond
		reply.Kind, reply.At, reply.Took, reply.Reply = record.KindReply, now, time.Duration(i+1)*time.Millisecond, &protocol.Reply{StepID: &id}
		outcome := record.Passed
		if i+1 == failed {
			reply.Reply.ErrorCode, reply.Reply.Reason, outcome = 1, "out_of_order", record.Failed
		}
		counts[outcome]++
		all = append(all, sent, reply)
		if i+1 < n {
			interval := step
			interval.Kind, interval.At = record.KindInterval, now
			all = append(all, interval)
		}
	}
	return append(all, record.Event{Kind: record.KindEnd, At: now, End: &record.End{Cause: record.Finished, Counts: counts}})
}

// lines returns the record of events.
func lines(t testing.TB, events []record.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	w := record.NewWriter(&b)
	for _, e := range events {
		must(t, w.Write(e))
	}
	return b.Bytes()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// stored returns the record of a run.
func stored(t *testing.T, db *database.DB, id string) string {
	t.Helper()
	r, err := db.Record(context.Background(), id)
	must(t, err)
	raw, err := io.ReadAll(r)
	must(t, err)
	return string(raw)
}

// A run that is stored as it happens is the same as its record that is added later.
func TestRecorderStoresWhatAddStores(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		all := events(start, 3, 2)
		meta := database.Meta{Board: "bench-7", Version: 2, Labels: map[string]string{"build": "42"}, Entry: 7, Attempt: 1, Worker: "w"}
		r, err := db.Begin(ctx, meta, func(err error) { t.Error(err) })
		must(t, err)
		w := record.NewWriter(r)
		for _, e := range all {
			must(t, w.Write(e))
		}
		must(t, r.Close())
		live, err := db.Run(ctx, r.ID())
		must(t, err)
		if live.State != database.Ended || live.Verdict != "fail" || live.Steps != 3 || live.Passed != 2 || live.Failed != 1 ||
			live.Procedure != "night" || !live.Started.Equal(start) || live.Duration != 6*time.Millisecond || live.Agent != "stepagent 1.1.0" {
			t.Errorf("%+v", live)
		}
		if diff := cmp.Diff(string(lines(t, all)), stored(t, db, r.ID())); diff != "" {
			t.Error(diff)
		}
		again, added, err := db.Add(ctx, "night.jsonl", lines(t, all), meta)
		if err != nil || added || again != r.ID() {
			t.Errorf("the same record: %s, added %t, error %v", again, added, err)
		}
		other := events(start.Add(time.Hour), 3, 2)
		id, added, err := db.Add(ctx, "night.jsonl", lines(t, other), meta)
		if err != nil || !added {
			t.Fatalf("added %t, error %v", added, err)
		}
		later, err := db.Run(ctx, id)
		must(t, err)
		later.ID, later.Started, later.Seen, later.RecordSHA256 = live.ID, live.Started, live.Seen, live.RecordSHA256
		if diff := cmp.Diff(live, later); diff != "" {
			t.Error(diff)
		}
	})
}

// A list has pages, the newest run first, and each filter selects.
func TestRuns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		var ids []string
		for i := range 10 {
			at := start.Add(time.Duration(i) * time.Minute)
			id, _, err := db.Add(ctx, "r", lines(t, events(at, 2, i%2)), database.Meta{Board: fmt.Sprint("b", i%3), Labels: map[string]string{"n": fmt.Sprint(i % 4)}})
			must(t, err)
			ids = append(ids, id)
		}
		slices.Reverse(ids)
		list := func(f database.Filter) (got []string) {
			t.Helper()
			runs, err := db.Runs(ctx, f)
			must(t, err)
			for _, run := range runs {
				got = append(got, run.ID)
			}
			return got
		}
		for name, tt := range map[string]struct {
			filter database.Filter
			want   []string
		}{
			"all":       {database.Filter{}, ids},
			"page":      {database.Filter{Limit: 3}, ids[:3]},
			"next page": {database.Filter{Limit: 3, Before: ids[2]}, ids[3:6]},
			"verdict":   {database.Filter{Verdict: "fail"}, []string{ids[0], ids[2], ids[4], ids[6], ids[8]}},
			"board":     {database.Filter{Board: "b0"}, []string{ids[0], ids[3], ids[6], ids[9]}},
			"label":     {database.Filter{Labels: map[string]string{"n": "3"}}, []string{ids[2], ids[6]}},
			"procedure": {database.Filter{Procedure: "night", Limit: 1}, ids[:1]},
			"time":      {database.Filter{Since: start.Add(2 * time.Minute), Until: start.Add(4 * time.Minute)}, []string{ids[6], ids[7]}},
			"none":      {database.Filter{Procedure: "day"}, nil},
		} {
			if diff := cmp.Diff(tt.want, list(tt.filter)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		last, err := db.Run(ctx, "last")
		if err != nil || last.ID != ids[0] || last.Labels["n"] != "1" {
			t.Errorf("last: %+v, error %v", last, err)
		}
		end, err := db.Run(ctx, ids[4][9:])
		if err != nil || end.ID != ids[4] {
			t.Errorf("by its ending: %s, error %v", end.ID, err)
		}
		if _, err := db.Run(ctx, "2026"); err == nil {
			t.Error("an ambiguous id is accepted")
		}
	})
}

// A procedure comes back byte for byte, and each change makes a version.
func TestImport(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		one := []byte(`{"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`)
		two := append(slices.Clone(one), '\n')
		for i, tt := range []struct {
			content []byte
			version int64
			added   bool
		}{{one, 1, true}, {one, 1, false}, {two, 2, true}, {one, 3, true}} {
			v, added, err := db.Import(ctx, "night", tt.content)
			if err != nil || v.Version != tt.version || added != tt.added || v.Steps != 1 || v.Bytes != int64(len(tt.content)) {
				t.Errorf("import %d: %+v, added %t, error %v", i, v, added, err)
			}
		}
		v, content, err := db.Procedure(ctx, "night", 2)
		if err != nil || !bytes.Equal(content, two) || v.Version != 2 {
			t.Errorf("%+v %q, error %v", v, content, err)
		}
		if v, _, err = db.Procedure(ctx, "night", 0); err != nil || v.Version != 3 {
			t.Errorf("newest: %+v, error %v", v, err)
		}
		err = db.Write(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE procedures SET steps = 2 WHERE name = $1", "night")
			return err
		})
		if err == nil {
			t.Error("a version was changed")
		}
	})
}

// execute executes a statement.
func execute(t *testing.T, db *database.DB, statement string) {
	t.Helper()
	must(t, tryExecute(db, statement))
}

func tryExecute(db *database.DB, statement string) error {
	return db.Write(context.Background(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), statement)
		return err
	})
}
