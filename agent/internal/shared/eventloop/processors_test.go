package eventloop_test

import (
	"runtime"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// TestProcessors: half of the processors, and half of these for loops, rounded up; a value that the
// user has set stays.
func TestProcessors(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	for _, test := range []struct {
		set              string
		has, want, usual int
	}{{"", 1, 1, 1}, {"", 2, 1, 1}, {"", 3, 2, 1}, {"", 4, 2, 1}, {"", 5, 3, 2}, {"", 8, 4, 2}, {"4", 4, 4, 2}} {
		t.Setenv("GOMAXPROCS", test.set)
		runtime.GOMAXPROCS(test.has)
		eventloop.LimitProcessors()
		if got := runtime.GOMAXPROCS(0); got != test.want || eventloop.DefaultCount() != test.usual {
			t.Errorf("%d cores, GOMAXPROCS=%q: %d used, %d loops, want %d and %d",
				test.has, test.set, got, eventloop.DefaultCount(), test.want, test.usual)
		}
	}
}
