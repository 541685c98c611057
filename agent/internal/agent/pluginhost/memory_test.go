//go:build !race

package pluginhost

import (
	"strings"
	"testing"
)

// A plugin that takes memory without end dies of its limit; the step that made it do so is
// undecided, and the next process judges on. With the race detector, which reserves terabytes, no
// program starts below the limit.
func TestP10MemoryHog(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "hog", Settings: []byte(`{"step":3}`), Limits: Limits{MemoryBytes: 256 << 20}})
	g := set.Groups()[0]
	passes(t, g, 1)
	a := within(t, patience, g, 3)[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "two processes were lost over this step") {
		t.Errorf("got %+v", a)
	}
	passes(t, g, 1)
	if st := set.Status()[0]; st.Restarts != 2 {
		t.Errorf("status = %+v", st)
	}
}
