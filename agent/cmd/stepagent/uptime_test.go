package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// TestUptimeIsNotTheClocks: a board without a clock of its own starts in 1970, and a clock may be set back.
func TestUptimeIsNotTheClocks(t *testing.T) {
	for _, started := range []time.Time{time.Unix(0, 0), time.Now().Add(time.Hour)} {
		s := api.Status{Started: started, Uptime: jsonl.Seconds(90400 * time.Millisecond), Validators: []api.Process{{
			Status: pluginhost.Status{PID: 7, Started: started}, Uptime: jsonl.Seconds(61 * time.Second)}}}
		var status, validators strings.Builder
		if err := printStatus(&status, s); err != nil || !strings.Contains(status.String(), ", up 1m30s\n") {
			t.Errorf("%v: %v\n%s", started, err, status.String())
		}
		if err := printValidators(&validators, api.Validators{Validators: s.Validators}); err != nil || !strings.Contains(validators.String(), "  1m1s  ") {
			t.Errorf("%v: %v\n%s", started, err, validators.String())
		}
	}
}
