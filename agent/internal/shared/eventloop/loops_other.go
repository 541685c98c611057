//go:build !linux

package eventloop

import (
	"io"
	"syscall"
)

// Loops are not supported.
type Loops struct{}

// New returns ErrUnsupported.
func New(int) (*Loops, error) { return nil, ErrUnsupported }

// Close does nothing.
func (*Loops) Close() {}

// Add returns ErrUnsupported.
func (*Loops) Add(int, Handler) error { return ErrUnsupported }

// Remove does nothing.
func (*Loops) Remove(int) {}

// Read returns ENOSYS.
func Read(int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Write returns ENOSYS.
func Write(int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Take returns ErrUnsupported.
func Take(io.Closer) (int, error) { return -1, ErrUnsupported }
