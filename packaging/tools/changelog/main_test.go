package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sample = `# Changelog

What a user notices.

- not an entry

## Unreleased

### Added

- A thing.

## [1.1.0] - 2026-12-24

### Fixed

- ` + "`stepctl run`" + ` no longer does what it did not ought to do, and so on for more than the eighty
  characters of a line.

## [1.0.0] - 2026-11-30

### Added

- Everything.
`

func TestRun(t *testing.T) {
	const oldest = "stepagent (1.0.0-1) unstable; urgency=medium\n\n  * Everything.\n\n" +
		" -- A B <a@b.example>  Mon, 30 Nov 2026 00:00:00 +0000\n\n"
	const older = "  * `stepctl run` no longer does what it did not ought to do, and so on for\n" +
		"    more than the eighty characters of a line.\n\n"
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"a release", []string{"-version", "1.1.0"},
			"stepagent (1.1.0-1) unstable; urgency=medium\n\n" + older +
				" -- A B <a@b.example>  Thu, 24 Dec 2026 13:00:00 +0000\n\n" + oldest},
		{"a snapshot", []string{"-version", "1.1.1-dev.7", "-snapshot"},
			"stepagent (1.1.1~dev.7-1) unstable; urgency=medium\n\n  * A thing.\n\n" +
				" -- A B <a@b.example>  Thu, 24 Dec 2026 13:00:00 +0000\n\n" +
				"stepagent (1.1.0-1) unstable; urgency=medium\n\n" + older +
				" -- A B <a@b.example>  Thu, 24 Dec 2026 00:00:00 +0000\n\n" + oldest},
	}
	for _, test := range tests {
		args := append([]string{"-date", "2026-12-24T14:00:00+01:00", "-maintainer", "A B <a@b.example>"}, test.args...)
		var out strings.Builder
		if err := run(args, strings.NewReader(sample), &out); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestRun_Refuses(t *testing.T) {
	known := []string{"-date", "2026-12-24T14:00:00Z", "-maintainer", "A B <a@b.example>"}
	tests := []struct {
		name, changelog string
		args            []string
		want            string
	}{
		{"a release without a section", sample, append(known, "-version", "1.2.0"), `no section "1.2.0"`},
		{"nothing unreleased", "## [1.0.0] - 2026-11-30\n", append(known, "-version", "1.2.0", "-snapshot"), `no section "Unreleased"`},
		{"a release without a date", "## [1.0.0]\n", append(known, "-version", "1.0.0"), "line 1: the release 1.0.0 has no date"},
		{"a date that is none", "\n## 1.0.0 - soon\n", append(known, "-version", "1.0.0"), "line 2: the date of 1.0.0"},
		{"no version", sample, known, "-version"},
		{"no date", sample, []string{"-version", "1.1.0"}, "-date"},
	}
	for _, test := range tests {
		var out strings.Builder
		err := run(test.args, strings.NewReader(test.changelog), &out)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q in it", test.name, err, test.want)
		}
	}
}
