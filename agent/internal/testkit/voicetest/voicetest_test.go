package voicetest_test

import (
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/voicetest"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for text, sound := range map[string]bool{
		"port 8080 is taken; choose another with --port": true,
		"TOML needs quotes here":                         true,
		"STEPAGENT_PORT: want a whole number":            true,
		"IPv6 is off":                                    true,
		"PATH of the socket, such as /run/x.sock":        true,
		"%s: %w":                      true,
		"reading ...":                 true,
		"a != b":                      true,
		"Port 8080 is taken":          false,
		"A port is missing":           false,
		"port 8080 is taken.":         false,
		"port 8080 is taken!":         false,
		"Error: port 8080 is taken":   false,
		"error: port 8080 is taken":   false,
		"please choose another port":  false,
		"nobody listens on port 8080": false,
	} {
		if wrong := voicetest.Line(text); (wrong == "") != sound {
			t.Errorf("%q: %q", text, wrong)
		}
	}
}
