package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A plugin that exits as soon as it is started is started less and less often, and steps are
// refused at once and do not wait for it.
func TestP08CrashLoop(t *testing.T) {
	besideOthers(t)
	const backoffMin = 5 * time.Millisecond
	h, _ := newTestHost(t, func(o *Options) { o.BackoffMin, o.BackoffMax = backoffMin, time.Minute })
	dir := t.TempDir()
	path, broken, starts := filepath.Join(dir, "plugin"), filepath.Join(dir, "broken"), filepath.Join(dir, "starts")
	script := fmt.Sprintf("#!/bin/sh\necho x >>%s\n[ -e %s ] && exit 1\nexec %s plugin good\n", starts, broken, self(t))
	writeProgram(t, path, []byte(script))
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`), Path: path})
	g := set.Groups()[0]
	passes(t, g, 1)
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	within(t, patience, g, 3) // until it is refused
	eventually(t, "the breaker opens", func() bool { return set.Status()[0].Refusing })
	refused := time.Now()
	a := within(t, patience, g, 1)[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "failed 4 times in a row") && !strings.Contains(a.Err.Error(), "times in a row") {
		t.Errorf("got %+v", a)
	}
	if took := time.Since(refused); took > patience/2 {
		t.Errorf("the refusal took %v", took)
	}
	st := set.Status()[0]
	if st.Failures <= breakAfter || !strings.Contains(st.Trouble(), "steps are refused") ||
		!strings.HasPrefix(st.LastError, path+" ended before it was ready (exit status 1)") || st.PID != 0 {
		t.Errorf("status = %+v: %s", st, st.Trouble())
	}
	eventually(t, "a few more starts", func() bool { return set.Status()[0].Failures >= breakAfter+3 })
	// After n failures at least backoffMin * (2^(n-1) - 1) have passed.
	b, err := os.ReadFile(starts)
	if err != nil {
		t.Fatal(err)
	}
	n, least := len(b)/2-1, time.Duration(0) // less the first, which was sound
	for i := range n - 2 {
		least += backoffMin << i
	}
	if took := time.Since(began); took < least {
		t.Errorf("%d starts in %v, want %v at least", n, took, least)
	}
	if err := os.Remove(broken); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it serves again", func() bool { return set.Status()[0].State == Serving })
	passes(t, g, 1)
	if st := set.Status()[0]; st.Refusing || st.Failures != 0 || st.Trouble() != "" {
		t.Errorf("status = %+v", st)
	}
}

func TestP08CrashingStepsSlowDown(t *testing.T) {
	h, _ := newTestHost(t, func(o *Options) { o.BackoffMin, o.Lasting = time.Hour, time.Hour; o.BackoffMax = time.Hour })
	set := startSet(t, h, Spec{Name: "a", Validator: "crash", Settings: []byte(`{"step":3}`)})
	g := set.Groups()[0]
	within(t, patience, g, 3) // ends the first process and the second, which came at once
	eventually(t, "the third waits", func() bool { return set.Status()[0].State == BackingOff })
	a := within(t, 50*time.Millisecond, g, 1)[0]
	if a.Err == nil || !strings.Contains(a.Err.Error(), "the plugin is being started again: no verdict within 50ms") {
		t.Errorf("got %+v", a)
	}
	if st := set.Status()[0]; st.Restarts != 1 || st.PID != 0 || st.LastError != "the plugin process ended: exit status 3" {
		t.Errorf("status = %+v", st)
	}
}
