package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestUnchangedMappings: only mappings of the executable are unmapped that hold nothing but the file.
func TestUnchangedMappings(t *testing.T) {
	t.Parallel()
	entry := func(at, mode, path string, anonymous int) string {
		return fmt.Sprintf("%s %s 00000000 fe:00 247026                     %s\nSize:  8 kB\nAnonymous:  %d kB\nVmFlags: rd mr mw me\n", at, mode, path, anonymous)
	}
	const program = "/usr/bin/stepagent"
	for name, test := range map[string]struct {
		smaps string
		want  []mapping
	}{
		"code and constants": {entry("1000-3000", "r-xp", program, 0) + entry("3000-4000", "r--p", program, 0),
			[]mapping{{0x1000, 0x3000}, {0x3000, 0x4000}}},
		"data":                    {entry("1000-3000", "rw-p", program, 0), nil},
		"relocations":             {entry("1000-3000", "r--p", program, 4), nil},
		"another file":            {entry("1000-3000", "r-xp", "/usr/lib/libc.so.6", 0), nil},
		"a file of a longer name": {entry("1000-3000", "r-xp", program+" (deleted)", 0) + entry("1000-3000", "r-xp", "/opt"+program, 0), nil},
		"no file":                 {entry("1000-3000", "r--p", "", 0), nil},
		"shared":                  {entry("1000-3000", "r--s", program, 0), nil},
		"no addresses":            {entry("x-3000", "r--p", program, 0) + entry("3000-1000", "r--p", program, 0), nil},
		"empty lines":             {"\n\n", nil},
	} {
		if got := unchangedMappings(test.smaps, program); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// TestUnmapCode: afterwards less of the executable is mapped, and the process goes on.
func TestUnmapCode(t *testing.T) {
	before := mappedCode(t)
	if err := unmapCode(); err != nil {
		t.Fatal(err)
	}
	if after := mappedCode(t); after >= before {
		t.Errorf("%d KiB of the executable are mapped, %d before", after, before)
	}
}

// mappedCode returns how much of the executable is in this process's memory, in KiB.
func mappedCode(t *testing.T) (kib int) {
	t.Helper()
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	ours := false
	for line := range strings.Lines(string(smaps)) {
		var n int
		if fields := strings.Fields(line); len(fields) > 5 && strings.Contains(fields[0], "-") {
			ours = fields[5] == executable && !strings.Contains(fields[1], "w")
		} else if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); ours && err == nil {
			kib += n
		}
	}
	return kib
}
