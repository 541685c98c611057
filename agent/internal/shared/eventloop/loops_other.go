//go:build !linux

package eventloop

import (
	"errors"
	"io"
	"syscall"
)

// Loops are not supported.
type Loops struct{}

// New returns errors.ErrUnsupported: event loops need epoll(7).
func New(int) (*Loops, error) { return nil, errors.ErrUnsupported }

// Close does nothing.
func (*Loops) Close() {}

// Count returns 0.
func (*Loops) Count() int { return 0 }

// Add returns errors.ErrUnsupported.
func (*Loops) Add(int, Handler) error { return errors.ErrUnsupported }

// Remove does nothing.
func (*Loops) Remove(int) {}

// Read returns ENOSYS.
func Read(int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Write returns ENOSYS.
func Write(int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Take returns errors.ErrUnsupported.
func Take(io.Closer) (int, error) { return -1, errors.ErrUnsupported }
