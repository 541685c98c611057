package logging_test

import (
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                      "",
		"plain, 온도 é \ufffd":    "plain, 온도 é \ufffd",
		`"quoted" \ C:\path`:    `"quoted" \ C:\path`,
		"a\x1b[2Jb\r\nc":        `a\x1b[2Jb\r\nc`,
		"\u202e\u009b31m\u2028": `\u202e\u009b31m\u2028`,
		"\xff\xfe":              `\xff\xfe`,
	} {
		if got := logging.Clean(text); got != want {
			t.Errorf("%q became %s, want %s", text, got, want)
		}
	}
}
