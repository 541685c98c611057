package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settled is how long a process has to start before pages of its executable are unmapped.
const settled = 2 * time.Second

// releaseCodePages unmaps the code and the constants of this executable once the process has started.
// What the process needs from then on is mapped again, from the kernel's page cache; the rest no longer
// counts as its memory. See MADV_DONTNEED in madvise(2). Where that fails, everything stays mapped.
func releaseCodePages() {
	time.AfterFunc(settled, func() { _ = unmapCode() })
}

func unmapCode() error {
	executable, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return err
	}
	for _, m := range unchangedMappings(string(smaps), executable) {
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise: %w", errno)
		}
	}
	return nil
}

// A mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// unchangedMappings returns the mappings of a file, in the text of proc_pid_smaps(5), that cannot be
// written to and have no page that differs from the file. A debugger's breakpoints make such pages, and
// the relocations of a position-independent executable.
func unchangedMappings(smaps, file string) []mapping {
	var found []mapping
	var m mapping
	ours := false
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if start, end, ok := strings.Cut(fields[0], "-"); ok {
			from, startErr := strconv.ParseUint(start, 16, strconv.IntSize)
			to, endErr := strconv.ParseUint(end, 16, strconv.IntSize)
			m = mapping{uintptr(from), uintptr(to)}
			ours = startErr == nil && endErr == nil && from < to &&
				(fields[1] == "r--p" || fields[1] == "r-xp") && strings.HasSuffix(line, " "+file+"\n")
		} else if ours && fields[0] == "Anonymous:" && fields[1] == "0" {
			found = append(found, m)
		}
	}
	return found
}
