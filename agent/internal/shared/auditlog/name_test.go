package auditlog

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// Files are in the order in which they were begun, for any time of the clock, and those that
// have no number come first.
func TestFileOrder(t *testing.T) {
	ahead, now := time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 22, 10, 0, 0, 5, time.UTC)
	want := []string{
		"steps-20200101T000000.000000000Z.jsonl",
		"steps-20360101T000000.000000000Z.jsonl",
		FileName(1, now), FileName(2, ahead), FileName(3, now), FileName(10, now), FileName(9_999_999_999, now), FileName(10_000_000_000, now),
	}
	if want[2] != "steps-0000000001.20261122T100000Z.jsonl" {
		t.Errorf("a name is %s", want[2])
	}
	for i, name := range want {
		want[i] = "/var/lib/stepagent/record/" + name
	}
	for range 20 {
		got := slices.Clone(want)
		rand.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, CompareFiles)
		if !slices.Equal(got, want) {
			t.Fatalf("the order is %q", got)
		}
	}
}

// The agent's files are known by their whole names.
func TestFileNames(t *testing.T) {
	for name, want := range map[string]bool{
		FileName(1, time.Now()): true, FileName(1<<59, time.Unix(0, 0)): true,
		"steps-20260101T000000.000000000Z.jsonl": true,
		"steps-.jsonl":                           false, "steps-mine.jsonl": false, "steps-20260101T000000.000000000Z.jsonl.gz": false,
		"copy of steps-20260101T000000.000000000Z.jsonl": false, "steps-99999999999999999999.20260101T000000Z.jsonl": false,
		"steps-0000000001.20261122T100000Z.jsonl.1": false, "run.jsonl": false, "": false,
	} {
		if _, got := ParseFileName(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
