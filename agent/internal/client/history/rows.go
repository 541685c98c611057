package history

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/stepagent/stepagent/agent/internal/client/database"
)

// A table has the steps of runs, or the measures of load tests: for each key one point a run that
// has it, in the order of the runs.
type table struct {
	keys   []Key // in the order of the newest run that has them
	points map[Key][]Point
}

// readTable reads the steps and measures of runs.
func readTable(ctx context.Context, db *database.DB, runs []database.Run) (*table, error) {
	t := &table{points: map[Key][]Point{}}
	steps := map[string][]stepRow{}
	for batch := range slices.Chunk(runs, 500) {
		if err := readSteps(ctx, db, batch, steps); err != nil {
			return nil, err
		}
	}
	for _, run := range slices.Backward(runs) {
		t.addKeys(keysOf(run, steps[run.ID]))
	}
	for _, run := range runs {
		if run.Kind == database.KindLoad {
			t.addLoad(run)
			continue
		}
		for i, key := range keysOf(run, steps[run.ID]) {
			row := steps[run.ID][i]
			t.points[key] = append(t.points[key], Point{Run: run.ID, Outcome: row.outcome, Took: row.took})
		}
	}
	return t, nil
}

// A stepRow is a row of the table steps.
type stepRow struct {
	id                int64
	timeout, interval float64
	outcome           string
	took              *float64
}

// stepsQuery reads steps by the primary key; its one verb is a list of placeholders.
const stepsQuery = `SELECT run, step_id, timeout, interval, outcome, took FROM steps WHERE run IN %s ORDER BY run, idx`

// readSteps adds the steps of runs, by run.
func readSteps(ctx context.Context, db *database.DB, runs []database.Run, into map[string][]stepRow) (err error) {
	query, args := stepsOf(runs)
	if len(args) == 0 {
		return nil
	}
	rows, err := db.Read().QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("cannot read the steps of the runs: %w", err)
	}
	defer func() { _ = rows.Close() }() // its error is that of Err
	for rows.Next() {
		var run string
		var row stepRow
		var took sql.Null[float64]
		if err := rows.Scan(&run, &row.id, &row.timeout, &row.interval, &row.outcome, &took); err != nil {
			return fmt.Errorf("cannot read the steps of the runs: %w", err)
		}
		if took.Valid {
			row.took = &took.V
		}
		into[run] = append(into[run], row)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("cannot read the steps of the runs: %w", err)
	}
	return nil
}

// stepsOf returns the query for the steps of those runs that are no load tests.
func stepsOf(runs []database.Run) (query string, args []any) {
	for _, run := range runs {
		if run.Kind != database.KindLoad {
			args = append(args, run.ID)
		}
	}
	return fmt.Sprintf(stepsQuery, database.Placeholders(0, len(args))), args
}

// keysOf returns the keys of the steps of a run.
func keysOf(run database.Run, steps []stepRow) []Key {
	if run.Kind == database.KindLoad {
		return loadKeys()
	}
	nth := map[Key]int{}
	keys := make([]Key, len(steps))
	for i, s := range steps {
		key := Key{StepID: s.id, Timeout: s.timeout, Interval: s.interval}
		nth[key]++
		key.Nth = nth[key]
		keys[i] = key
	}
	return keys
}

func (t *table) addKeys(keys []Key) {
	for _, key := range keys {
		if _, known := t.points[key]; !known {
			t.points[key] = nil
			t.keys = append(t.keys, key)
		}
	}
}

// perStep is the measure that stands for the throughput of a load test: the seconds a step, so that
// larger is slower as for all others.
const perStep = "seconds per step"

// loadKeys are the measures of a load test that are compared.
func loadKeys() []Key {
	return []Key{{Measure: perStep}, {Measure: "p50"}, {Measure: "p90"}, {Measure: "p99"}, {Measure: "p99.9"}, {Measure: "max"}}
}

// A loadResult is what history reads of the JSON object of a load test.
type loadResult struct {
	Clients    int                `json:"clients"`
	Rate       float64            `json:"rate"`
	Throughput float64            `json:"steps_per_second"`
	Latency    map[string]float64 `json:"latency"`
}

// loadResultOf returns the result of a load test; the zero value if it has none that can be read.
func loadResultOf(run database.Run) (r loadResult) {
	if err := json.Unmarshal([]byte(run.Result), &r); err != nil {
		return loadResult{}
	}
	return r
}

// addLoad adds the measures of a load test. One without steps has none.
func (t *table) addLoad(run database.Run) {
	result := loadResultOf(run)
	if result.Throughput <= 0 {
		return
	}
	for _, key := range loadKeys() {
		took, known := result.Latency[key.Measure]
		if key.Measure == perStep {
			took, known = 1/result.Throughput, true
		}
		if known {
			t.points[key] = append(t.points[key], Point{Run: run.ID, Took: &took})
		}
	}
}

// has reports whether any run has the key.
func (t *table) has(key Key) bool { return len(t.points[key]) > 0 }
