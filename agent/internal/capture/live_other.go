//go:build !linux

package capture

import (
	"errors"
	"syscall"
)

type rawConn = syscall.RawConn

// claim is not reached: openSources fails before.
func (*Live) claim(string, syscall.RawConn) error { return errors.ErrUnsupported }

// openSources says that packets are captured on Linux only.
func openSources(LiveOptions) ([]source, error) {
	return nil, errors.New("packets can be captured on Linux only; capture with another tool, and verify that")
}
