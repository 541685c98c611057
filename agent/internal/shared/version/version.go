// Package version says which build of the commands this is.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Set by the linker in a release:
//
//	-ldflags "-X github.com/stepagent/stepagent/agent/internal/shared/version.number=1.2.3"
//
// Empty in other builds, which take what the go command has noted in the binary.
var number, commit, date string

// Number returns the version alone, such as 1.2.3, or devel when there is none.
func Number() string { return read().number }

// Commit returns the commit, and whether it was built with changes; empty when it is not known.
func Commit() string { return read().commit }

// Date returns the time of the commit; the zero time when it is not known.
func Date() time.Time {
	date, err := time.Parse(time.RFC3339, read().date)
	if err != nil {
		return time.Time{}
	}
	return date
}

// String returns the version with the commit, its date, and what it was built with and for.
func String() string { return read().String() }

// A build is what is known of one.
type build struct{ number, commit, date string }

func read() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return build{number, commit, date}.or(info)
}

// or fills in from the go command's notes what the linker was not given.
func (b build) or(info *debug.BuildInfo) build {
	settings := map[string]string{}
	for _, setting := range info.Settings {
		settings[setting.Key] = setting.Value
	}
	b.number = strings.TrimPrefix(cmp.Or(b.number, strings.Trim(info.Main.Version, "()"), "devel"), "v")
	if b.commit == "" {
		b.commit = settings["vcs.revision"]
		if b.commit != "" && settings["vcs.modified"] == "true" {
			b.commit += " with changes"
		}
	}
	b.date = cmp.Or(b.date, settings["vcs.time"])
	return b
}

// String joins what is known.
func (b build) String() string {
	var parts []string
	if b.commit != "" {
		parts = append(parts, "commit "+b.commit)
	}
	if b.date != "" {
		parts = append(parts, b.date)
	}
	parts = append(parts, fmt.Sprintf("%s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH))
	return fmt.Sprintf("%s (%s)", b.number, strings.Join(parts, ", "))
}
