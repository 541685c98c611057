//go:build !linux

package capture

import (
	"errors"
	"syscall"
)

type rawConn = syscall.RawConn

// claim is not reached: openSource fails before.
func claim(string, syscall.RawConn) (uint16, error) { return 0, errors.ErrUnsupported }

// openSource says that packets are captured on Linux only.
func openSource(LiveOptions) (source, error) {
	return source{}, errors.New("packets can be captured on Linux only; capture with another tool, and verify that")
}
