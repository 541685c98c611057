package pluginhost

import (
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
)

// A validator that says one thing now and another then is found by judging steps twice.
func TestP05NondeterministicPlugin(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	shadow := verdictcache.Options{Bytes: keptBytes, ShadowEvery: 3}
	set := startSet(t, h, Spec{Name: "a", Validator: "echo", Cache: shadow}, Spec{Name: "b", Validator: "flaky", Cache: shadow})
	g := set.Groups()[0]
	for id := int64(1); id <= 8; id++ {
		within(t, patience, g, id)
		if id == 3 { // the first that is found is the one that is told
			eventually(t, "a step got two verdicts", func() bool { return set.Status()[0].Kept.Differing == 1 })
		}
	}
	eventually(t, "two steps got two verdicts", func() bool { return set.Status()[0].Kept.Differing == 2 })
	for _, want := range []string{"a validator gave two verdicts for one step", "validator=b", "step_id=3"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
	}
	st := set.Status()[0]
	if !strings.Contains(st.Trouble(), "2 steps got two different verdicts") || st.Steps != 8 {
		t.Errorf("status = %+v", st)
	}
}

func TestP05PureValidatorIsNotReported(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "counter", Cache: verdictcache.Options{ShadowEvery: 1}})
	c := newCrowd(t, set.Groups()[0], 16)
	c.advance(t, 500)
	c.end()
	if st := set.Status()[0]; st.Kept.Differing != 0 || st.Errors != 0 || st.Trouble() != "" {
		t.Errorf("status = %+v", st)
	}
}

// Close does not wait for a step that is being judged again.
func TestP05ClosingDoesNotWaitForShadows(t *testing.T) {
	besideOthers(t)
	h, _ := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "second-hangs", Cache: verdictcache.Options{ShadowEvery: 1}})
	passes(t, set.Groups()[0], 1)
	set.Close(t.Context())
	if st := set.Status()[0]; st.State != Stopped {
		t.Errorf("status = %+v", st)
	}
}

// A validator that takes its time is left alone: judging a step again may take as long as the step.
func TestP05SlowRecheckIsNoHang(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "second-dawdles", Cache: verdictcache.Options{ShadowEvery: 1}})
	g := set.Groups()[0]
	passes(t, g, 1)
	eventually(t, "the step is judged again", func() bool { return strings.Contains(log.String(), "line=dawdled") })
	passes(t, g, 2) // long enough for a process that is taken to hang to be replaced
	if st := set.Status()[0]; st.Restarts != 0 || st.LastError != "" {
		t.Errorf("status = %+v", st)
	}
}
