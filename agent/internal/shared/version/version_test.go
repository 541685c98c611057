package version

import (
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestBuild(t *testing.T) {
	with := " (" + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	vcs := []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc123"}, {Key: "vcs.time", Value: "2026-11-22T10:00:00Z"},
	}
	dirty := append([]debug.BuildSetting{{Key: "vcs.modified", Value: "true"}}, vcs...)
	tests := []struct {
		name   string
		linker build
		info   debug.BuildInfo
		want   string
	}{
		{"nothing known", build{}, debug.BuildInfo{}, "devel" + with},
		{"a checkout", build{}, debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: vcs},
			"devel (commit abc123, 2026-11-22T10:00:00Z, " + with[2:]},
		{"a checkout with changes", build{}, debug.BuildInfo{Settings: dirty},
			"devel (commit abc123 with changes, 2026-11-22T10:00:00Z, " + with[2:]},
		{"go install", build{}, debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}}, "1.2.3" + with},
		{"a release", build{"v2.0.0", "def456", "2026-12-01"}, debug.BuildInfo{Settings: dirty},
			"2.0.0 (commit def456, 2026-12-01, " + with[2:]},
	}
	for _, test := range tests {
		if got := test.linker.or(&test.info).String(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	if got := Number(); got == "" || !strings.HasPrefix(String(), got+" (") {
		t.Errorf("Number is %q and String %q", got, String())
	}
}
