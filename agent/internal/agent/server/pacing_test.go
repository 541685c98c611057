package server_test

import (
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/plugins/pacing"
)

func paced(t *testing.T, settings string) judge.Member {
	t.Helper()
	v, err := pacing.New([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	return judge.Member{Name: pacing.Name, Validator: v}
}

// TestPacing measures through the server, over one connection and over one for each step. All
// numbers are so far apart that the pace of the machine makes no difference.
func TestPacing(t *testing.T) {
	const kept, hurried = `{"step_id":2,"error_code":0}`, `{"step_id":2,"error_code":1,"reason":"interval_not_kept"`
	for name, test := range map[string]struct {
		settings, first, want string
		perStep               bool
	}{
		"hurried":             {"", `{"step_id":1,"interval":3600}`, hurried, false},
		"hurried, per step":   {"", `{"step_id":1,"interval":3600}`, hurried, true},
		"kept":                {`{"tolerance_seconds":3600}`, `{"step_id":1,"interval":1}`, kept, false},
		"kept, per step":      {`{"tolerance_seconds":3600}`, `{"step_id":1,"interval":1}`, kept, true},
		"none declared":       {`{"tolerance_seconds":0}`, `{"step_id":1}`, kept, false},
		"hurry is no mistake": {`{"judge":"late"}`, `{"step_id":1,"interval":3600}`, kept, false},
	} {
		t.Run(name, func(t *testing.T) {
			h := start(t, defaults(), paced(t, test.settings))
			p := h.dial(t)
			p.send(test.first)
			p.expect(`{"step_id":1,"error_code":0}`)
			if test.perStep {
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
				p = h.dial(t)
			}
			p.send(`{"step_id":2}`)
			p.expect(test.want)
		})
	}
}
