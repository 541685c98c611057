package peers

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tick is the unit of times in /proc/PID/stat, which is the same on all architectures that Go
// knows: sysconf(_SC_CLK_TCK), proc_pid_stat(5).
const tick = 10 * time.Millisecond

// cpuTime returns the time that the processes have used, in user and in system mode, all of
// their threads together. They are called name in errors.
func cpuTime(b *testing.B, name string, pids []int) (sum time.Duration) {
	b.Helper()
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		// The name in brackets may hold anything; what follows begins with field 3.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, n := range []int{14, 15} {
			ticks, err := strconv.Atoi(fields[n-3])
			if err != nil {
				b.Fatalf("%s: %v", name, err)
			}
			sum += time.Duration(ticks) * tick
		}
	}
	return sum
}

// memory is what processes hold in memory, in bytes.
type memory struct {
	// rss counts a page that several processes map once for each of them, pss once in all, and
	// private not at all.
	rss, pss, private int
}

// memoryOf reads proc_pid_smaps_rollup(5) of processes, which are called name in errors.
func memoryOf(b *testing.B, name string, pids []int) (m memory) {
	b.Helper()
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			b.Fatalf("%s: %v", name, err)
		}
		for line := range strings.Lines(string(text)) {
			key, value, _ := strings.Cut(line, ":")
			into := map[string]*int{"Rss": &m.rss, "Pss": &m.pss, "Private_Clean": &m.private, "Private_Dirty": &m.private}[key]
			if into == nil {
				continue
			}
			var kilobytes int
			if _, err := fmt.Sscan(value, &kilobytes); err != nil {
				b.Fatalf("%s: %v", name, err)
			}
			*into += kilobytes << 10
		}
	}
	return m
}

// children returns the processes that a process has started and that still run.
func children(pid int) ([]int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, thread := range entries {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, thread.Name()))
		if err != nil {
			continue // a thread that has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			pids = append(pids, child)
		}
	}
	return pids, nil
}
