package history_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/history"
	"github.com/stepagent/stepagent/agent/internal/client/history/statistics"
)

// board makes runs of 12 steps that take about 20 to 240 ms, with a noise of 1 %.
type board struct{ random *rand.Rand }

func newBoard(seed uint64) board { return board{rand.New(rand.NewPCG(15, seed))} }

// runs returns n runs that take factor times as long at each step.
func (b board) runs(n int, factor float64) []night {
	nights := make([]night, n)
	for i := range nights {
		nights[i].content = "aa"
		for step := range 12 {
			nights[i].steps = append(nights[i].steps, factor*0.02*float64(step+1)*(1+0.01*b.random.NormFloat64()))
		}
	}
	return nights
}

func pick(t *testing.T, db *database.DB, text string) history.Selection {
	t.Helper()
	s, err := history.Select(context.Background(), db, text, "")
	must(t, err)
	return s
}

func compared(t *testing.T, db *database.DB, before, after string) *history.Comparison {
	t.Helper()
	c, err := history.Compare(context.Background(), db, pick(t, db, before), pick(t, db, after), statistics.Defaults)
	must(t, err)
	return c
}

func TestSelect(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		b := newBoard(1)
		old := add(t, db, 0, database.Meta{Labels: map[string]string{"build": "41"}}, b.runs(3, 1)...)
		recent := add(t, db, 3, database.Meta{Labels: map[string]string{"build": "42"}}, b.runs(2, 1)...)
		must(t, db.SetBaseline(ctx, "night", "release", old[:2]))
		for text, want := range map[string][]string{
			"last": recent[1:], old[0]: old[:1], old[1][9:]: old[1:2], "release": old[:2], "build=42": recent,
			recent[0] + ", " + old[2]: {old[2], recent[0]}, "last,last": recent[1:], "release,build=41,last": append(old[:3:3], recent[1]),
		} {
			s, err := history.Select(ctx, db, text, "")
			if diff := cmp.Diff(want, s.Names()); err != nil || diff != "" {
				t.Errorf("%s: error %v %s", text, err, diff)
			}
		}
		for _, text := range []string{"", "none", "build=43", "2026", "last,", "build=42,none", "release'; DROP TABLE runs; --", "\x00"} {
			if s, err := history.Select(ctx, db, text, ""); err == nil {
				t.Errorf("%q selects %v", text, s.Names())
			}
		}
		if _, err := history.Select(ctx, db, "build=42", "day"); !errors.Is(err, history.ErrNoRuns) {
			t.Errorf("another procedure: error %v", err)
		}
		against, err := history.Against(ctx, db, "", pick(t, db, "last"))
		if err != nil || against.Name != "release" || len(against.Runs) != 2 {
			t.Errorf("%+v, error %v", against, err)
		}
		must(t, db.SetBaseline(ctx, "night", "nightly", recent))
		if _, err := history.Against(ctx, db, "", pick(t, db, "last")); err == nil || !strings.Contains(err.Error(), `"nightly" and "release"`) {
			t.Errorf("two baselines: error %v", err)
		}
	})
}

// Two runs of which one is 5 % slower at each step are told apart by their steps, and two equal ones are
// not.
func TestCompareTwoRuns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := newBoard(2)
		ids := add(t, db, 0, database.Meta{}, append(b.runs(2, 1), b.runs(1, 1.05)...)...)
		for _, tt := range []struct {
			before, after string
			want          statistics.Word
		}{
			{ids[0], ids[1], statistics.NoDifference}, {ids[0], ids[2], statistics.Slower},
			{ids[2], ids[1], statistics.Faster}, {ids[0], ids[0], statistics.NoDifference},
		} {
			c := compared(t, db, tt.before, tt.after)
			if c.Whole.Word != tt.want || c.By != history.BySteps || c.Whole.Before != 12 || len(c.Steps) != 12 {
				t.Errorf("%s after %s: by %s %+v", tt.after, tt.before, c.By, c.Whole)
			}
			if tt.want == statistics.Slower && !(c.Whole.Low < 1.05 && 1.05 < c.Whole.High && c.Whole.High-c.Whole.Low < 0.05) {
				t.Errorf("%+v", c.Whole)
			}
			for _, s := range c.Steps {
				if s.Change.Word != statistics.TooFew || s.Change.Known() {
					t.Errorf("step %s from one run each: %+v", s.Key, s.Change)
				}
			}
		}
	})
}

// Sets of runs are compared step by step, and as a whole by their runs.
func TestCompareSets(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		b := newBoard(3)
		add(t, db, 0, database.Meta{Board: "b1", Labels: map[string]string{"build": "41"}}, b.runs(10, 1)...)
		slow := b.runs(10, 1)
		for i := range slow {
			slow[i].steps[4] *= 1.05
			slow[i].steps[7] = 0 // times out
		}
		slow[3].steps[2] = -0.06 // is refused
		add(t, db, 10, database.Meta{Board: "b2", Labels: map[string]string{"build": "42"}}, slow...)
		c := compared(t, db, "build=41", "build=42")
		if c.By != history.ByRuns || c.Whole.Word != statistics.NoDifference || c.Whole.Before != 10 {
			t.Errorf("by %s %+v", c.By, c.Whole)
		}
		for i, s := range c.Steps {
			want, times, newly := statistics.NoDifference, 10, false
			switch i {
			case 4:
				want = statistics.Slower
			case 7:
				want, times, newly = statistics.TooFew, 0, true
			case 2:
				newly = true
			}
			if s.Change.Word != want || s.After.Times.N != times || s.Before.Times.N != 10 || s.NewlyFailing != newly {
				t.Errorf("step %s: %+v", s.Key, s)
			}
		}
		if got := c.Steps[7].After.Outcomes; len(got) != 1 || got["timed_out"] != 10 {
			t.Errorf("%v", got)
		}
		if len(c.Notes) != 1 || c.Notes[0] != "different boards: b1 before and b2 after" || len(c.NewlyFailing()) != 2 {
			t.Errorf("%q", c.Notes)
		}
	})
}

// Of different contents, only the steps that are the same are compared.
func TestCompareContents(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ids := add(t, db, 0, database.Meta{},
			night{steps: []float64{0.1, 0.1, 0.1, 0.1}, content: "aa", ids: []int64{1, 2, 2, 3}},
			night{steps: []float64{0.1, 0.1, 0.1, 0.1}, content: "bb", ids: []int64{2, 3, 4, 5}})
		c := compared(t, db, ids[0], ids[1])
		var keys []string
		for _, s := range c.Steps {
			keys = append(keys, s.Key.String())
		}
		if diff := cmp.Diff([]string{"2", "3"}, keys); diff != "" {
			t.Error(diff)
		}
		if len(c.Notes) != 2 || c.Whole.Word != statistics.TooFew || c.Whole.Needed != 6 {
			t.Errorf("%q %+v", c.Notes, c.Whole)
		}
	})
}

// A trend compares the halves of the runs, and says where the level changed.
func TestTrend(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		b := newBoard(4)
		add(t, db, 0, database.Meta{}, night{steps: []float64{0.5}, content: "bb"})
		nights := append(b.runs(11, 1), b.runs(9, 1.05)...)
		for i, n := range nights {
			if i%5 == 2 {
				n.steps[1] = 0
			}
			if i >= 16 {
				n.steps[2] = 0
			}
		}
		ids := add(t, db, 1, database.Meta{}, nights...)
		must(t, db.SetBaseline(ctx, "night", "release", ids[:6]))
		trend, err := history.ReadTrend(ctx, db, history.Query{Procedure: "night"}, statistics.Defaults)
		must(t, err)
		if len(trend.Runs) != 20 || trend.Runs[0].ID != ids[0] || trend.Runs[9].After || !trend.Runs[10].After || trend.Whole.Word != statistics.Slower || trend.ChangedAt != ids[11] || len(trend.Notes) != 1 {
			t.Errorf("%d runs, %+v, changed at %s, %q", len(trend.Runs), trend.Whole, trend.ChangedAt, trend.Notes)
		}
		if s := trend.Steps[1]; s.Course != history.Flaky || s.Changes != 8 || s.All.Times.N != 16 || s.All.Outcomes["timed_out"] != 4 {
			t.Errorf("%+v", s)
		}
		if s := trend.Steps[2]; s.Course != history.FailingSince || s.Since != ids[16] {
			t.Errorf("%+v", s.Stability)
		}
		if s := trend.Steps[5]; s.Course != history.Passing || len(s.Points) != 20 || s.Points[3].Run != ids[3] || s.Before.Times.N != 10 {
			t.Errorf("%+v", s)
		}
		split, err := history.ReadTrend(ctx, db, history.Query{Procedure: "night", Last: 18, Split: start.AddDate(0, 0, 12)}, statistics.Defaults)
		if err != nil || len(split.Runs) != 18 || split.Whole.Word != statistics.Slower || split.Whole.Before != 9 || split.Whole.After != 9 {
			t.Errorf("%+v, error %v", split, err)
		}
		against, err := history.ReadTrend(ctx, db, history.Query{Procedure: "night", Last: 7, Against: "release"}, statistics.Defaults)
		if err != nil || against.Whole.Word != statistics.Slower || against.Whole.Before != 6 || against.Whole.After != 7 || against.Steps[0].Change.Word != statistics.Slower || against.Before.Name != "release" {
			t.Errorf("%+v, error %v", against.Whole, err)
		}
		one, err := history.ReadTrend(ctx, db, history.Query{Procedure: "night", Last: 1}, statistics.Defaults)
		if err != nil || len(one.Notes) != 1 || len(one.Steps) != 12 || one.Steps[0].Change.Word != statistics.TooFew || one.Whole.Word != statistics.TooFew {
			t.Errorf("%+v, error %v", one, err)
		}
		if _, err := history.ReadTrend(ctx, db, history.Query{Procedure: "day"}, statistics.Defaults); !errors.Is(err, history.ErrNoRuns) {
			t.Errorf("error %v", err)
		}
	})
}

// Runs whose content is not known, which have just begun or were killed before their first event, are no part of a
// trend, so that they neither have other contents count nor take the place of another run.
func TestTrendWithoutUnknownContents(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		add(t, db, 0, database.Meta{}, newBoard(1).runs(3, 1)...)
		ids := add(t, db, 3, database.Meta{}, night{steps: []float64{0.1}, content: "bb"}, night{steps: []float64{0.1}, content: "bb"})
		query := history.Query{Procedure: "night", Last: 4}
		begin := func(procedure, id, state string) {
			must(t, db.Write(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO runs (id, procedure, started, seen, state) VALUES ($1, $2, $3, $3, $4)",
					id, procedure, database.Time(start.AddDate(9, 0, 0)), state)
				return err
			}))
		}
		for i, begun := range []func(){
			func() {},
			func() { begin("night", "20351101T030000-000001", "running") },
			func() {
				for n := range 5 {
					begin("night", fmt.Sprintf("20351101T030001-%06d", n), "interrupted")
				}
			},
		} {
			begun()
			trend, err := history.ReadTrend(ctx, db, query, statistics.Defaults)
			must(t, err)
			var runs []string
			for _, r := range trend.Runs {
				runs = append(runs, r.ID)
			}
			if diff := cmp.Diff(ids, runs); diff != "" || trend.Content != "bb" || len(trend.Notes) != 1 || len(trend.Steps) != 1 {
				t.Errorf("%d: content %q, %q, %d steps\n%s", i, trend.Content, trend.Notes, len(trend.Steps), diff)
			}
		}
		begin("day", "20351101T030002-000001", "running")
		if _, err := history.ReadTrend(ctx, db, history.Query{Procedure: "day"}, statistics.Defaults); !errors.Is(err, history.ErrNoRuns) {
			t.Errorf("error %v", err)
		}
	})
}

// Load tests are compared by throughput and quantiles.
func TestCompareLoads(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		ctx := context.Background()
		b := newBoard(5)
		for i := range 12 {
			factor := 1 + 0.005*b.random.Float64()
			if i >= 6 {
				factor *= 1.10
			}
			r, err := db.Begin(ctx, database.Meta{
				Kind: database.KindLoad, Procedure: "success", Started: start.AddDate(0, 0, i), Labels: map[string]string{"build": fmt.Sprint(i / 6)},
			}, func(err error) { t.Error(err) })
			must(t, err)
			must(t, r.Finish(database.LoadResult{Verdict: "pass", Cause: "finished", JSON: fmt.Appendf(nil,
				`{"clients": 8, "rate": 0, "steps_per_second": %g, "latency": {"p50": %g, "p99": %g}}`, 1000/factor, 0.002*factor, 0.01)}))
			must(t, r.Close())
		}
		c := compared(t, db, "build=0", "build=1")
		if c.By != history.ByThroughput || c.Whole.Word != statistics.Slower || !(c.Whole.Low < 1.1 && 1.1 < c.Whole.High) || len(c.Notes) != 0 {
			t.Errorf("by %s %+v %q", c.By, c.Whole, c.Notes)
		}
		for i, want := range []statistics.Word{statistics.Slower, statistics.Slower, statistics.NoDifference} {
			if c.Steps[i].Change.Word != want {
				t.Errorf("%s: %+v", c.Steps[i].Key, c.Steps[i].Change)
			}
		}
		trend, err := history.ReadTrend(ctx, db, history.Query{Procedure: "success", Kind: database.KindLoad}, statistics.Defaults)
		if err != nil || trend.Whole.Word != statistics.Slower || len(trend.Steps) != 6 {
			t.Errorf("%+v, error %v", trend, err)
		}
		if two := compared(t, db, "build=0", "last"); two.Whole.Word != statistics.TooFew || len(two.Notes) != 1 {
			t.Errorf("%+v %q", two.Whole, two.Notes)
		}
	})
}
