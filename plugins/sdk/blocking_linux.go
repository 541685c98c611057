package sdk

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// A blockingConn is a conn on which a thread waits in the kernel, and not in the runtime's
// poller. Whoever waits for the next batch has nothing else to do; the poller would try in
// vain first, wait for this socket among others, and wake a second thread to look for work
// whenever the first has found some.
type blockingConn struct{ *os.File }

// newBlockingConn takes the place of the conn, which is closed.
func newBlockingConn(conn *net.UnixConn) (*blockingConn, error) {
	defer func() { _ = conn.Close() }() // what it was lives on in the copy
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	// A copy, since the conn's own number is known to the poller.
	var fd int
	var fdErr error
	if err := raw.Control(func(own uintptr) { fd, fdErr = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if fdErr != nil {
		return nil, os.NewSyscallError("fcntl", fdErr)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &blockingConn{os.NewFile(uintptr(fd), "data path")}, nil
}

// Close closes the conn and ends the reads and writes that wait.
func (c *blockingConn) Close() error {
	// Where the other end is gone, nobody waits any more.
	_ = unix.Shutdown(int(c.Fd()), unix.SHUT_RDWR)
	return c.File.Close()
}
