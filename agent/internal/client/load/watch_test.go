package load

import (
	"testing"
	"time"
)

// A silent agent does not raise the throughput: a load of ten seconds counts as ten, or as more if
// a reply came later.
func TestElapsed(t *testing.T) {
	t.Parallel()
	begins := time.Now()
	for name, test := range map[string]struct{ last, now, want time.Duration }{
		"under way":             {last: 2 * time.Second, now: 3 * time.Second, want: 3 * time.Second},
		"silent at the end":     {last: 2 * time.Second, now: 12 * time.Second, want: 10 * time.Second},
		"a reply after the end": {last: 11 * time.Second, now: 12 * time.Second, want: 11 * time.Second},
		"no reply":              {now: 18 * time.Second, want: 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			counted := newTally(DefaultWait)
			if test.last > 0 {
				counted.answered(begins, begins.Add(test.last), false, false)
			}
			r := &run{options: Options{Wait: DefaultWait}, begins: begins, ends: begins.Add(10 * time.Second), tallies: []*tally{counted}}
			if got := r.result(begins.Add(test.now)).Elapsed; got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
