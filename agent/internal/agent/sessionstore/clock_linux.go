package sessionstore

import (
	"encoding/hex"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootIDFile holds the boot id; see random(4).
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// newClock returns the clock of this process.
func newClock() (*clock, error) {
	text, err := os.ReadFile(bootIDFile)
	if err != nil {
		return nil, fmt.Errorf("the boot id cannot be read: %w; make /proc/sys readable for the agent", err)
	}
	c := &clock{isSynced: isSynced}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || copy(c.boot[:], raw) != len(c.boot) {
		return nil, fmt.Errorf("%s holds no boot id: %q", bootIDFile, text)
	}
	return c, c.readBoth()
}

// readBoth reads the clock of package time and CLOCK_MONOTONIC, which it is made of, at the same time: a
// process that has to wait for the processor in between reads them again.
func (c *clock) readBoth() error {
	const tries, enough = 20, 20 * time.Microsecond
	within := time.Duration(math.MaxInt64)
	for range tries {
		var now unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return fmt.Errorf("the monotonic clock cannot be read: %w", err)
		}
		took := time.Since(before)
		if took < within {
			within, c.opened, c.mono = took, before.Add(took/2), time.Duration(now.Nano())
		}
		if within <= enough {
			break
		}
	}
	return nil
}

// isSynced reports whether the wall clock is synchronized, as far as that can be told: a service may
// not be allowed to ask the kernel, and then the file of systemd-timesyncd is left.
func isSynced() bool {
	var status unix.Timex
	if state, err := unix.Adjtimex(&status); err == nil {
		return state != unix.TIME_ERROR && status.Status&unix.STA_UNSYNC == 0
	}
	_, err := os.Stat("/run/systemd/timesync/synchronized")
	return err == nil
}
