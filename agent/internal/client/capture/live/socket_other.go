//go:build !linux

package live

import (
	"errors"
	"syscall"
)

// bindLocal is not called: openSource fails before.
func bindLocal(string, syscall.RawConn) (uint16, error) { return 0, errors.ErrUnsupported }

// openSource says that packets are captured on Linux only.
func openSource(Options) (source, error) {
	return source{}, errors.New("packets can be captured on Linux only; capture with another tool, and verify that")
}
