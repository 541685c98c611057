package eventloop

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxEvents limits the sockets of one call of epoll_wait.
const maxEvents = 256

// Loops are event loops that share the sockets among them. The methods are safe for concurrent use.
type Loops struct {
	all     []*loop
	running sync.WaitGroup
	closing sync.Once
}

// New starts n loops.
func New(n int) (*Loops, error) {
	l := &Loops{}
	for range n {
		one, err := newLoop()
		if err != nil {
			l.Close()
			return nil, err
		}
		l.all = append(l.all, one)
		l.running.Go(one.run)
	}
	return l, nil
}

// Close ends the loops and waits for running handlers. It does not close sockets. Afterwards no handler
// is called, and Add returns an error. It may be called again.
func (l *Loops) Close() {
	l.closing.Do(func() {
		for _, one := range l.all {
			one.close()
		}
		l.running.Wait()
	})
}

// Count returns the number of loops; 0 of none. Socket fd is served by loop fd modulo Count.
func (l *Loops) Count() int {
	if l == nil {
		return 0
	}
	return len(l.all)
}

func (l *Loops) of(fd int) *loop { return l.all[fd%len(l.all)] }

// interest is what a loop waits for: each change once (EPOLLET), and the end of the stream and urgent
// data separately from the bytes before them.
const interest = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

// ended are the events after which a short read may not have read everything.
const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR | unix.EPOLLPRI

// A loop is one event loop.
type loop struct {
	epoll  int
	file   *os.File // of epoll
	raw    syscall.RawConn
	events [maxEvents]unix.EpollEvent
	due    [maxEvents]Handler // of events
	round  Round

	mu      sync.Mutex // guards the fields below
	entries []entry    // by the number of the socket
	closed  bool
}

// An entry is the handler of a socket.
type entry struct {
	handler Handler
	// generation tells apart sockets that have the same number one after another: an event of an
	// earlier one is not for the next. Each event carries it, epoll_event(3type).
	generation int32
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	err = unix.SetNonblock(epoll, true) // required by the runtime's poller
	l := &loop{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll")}
	l.round.Buffer = make([]byte, BufferBytes)
	if err == nil {
		l.raw, err = l.file.SyscallConn()
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("event loop: %w", err)
	}
	return l, nil
}

// wait waits for events. The epoll instance is pollable itself, so the goroutine waits in the
// runtime's poller: a thread blocked in epoll_wait would occupy a processor of the scheduler until
// that is noticed. It returns os.ErrClosed after close.
func (l *loop) wait() (n int, err error) {
	waitErr := l.raw.Read(func(uintptr) bool {
		for {
			n, err = unix.EpollWait(l.epoll, l.events[:], 0)
			if err != unix.EINTR {
				return n > 0 || err != nil
			}
		}
	})
	return n, errors.Join(waitErr, err)
}

func (l *loop) run() {
	for {
		n, err := l.wait()
		if err != nil || !l.dispatch(n) { // epoll_wait(2) fails only after close
			return
		}
		for i, h := range l.due[:n] {
			if h != nil {
				h.Ready(&l.round, l.events[i].Events&ended != 0)
				l.due[i] = nil
			}
			if l.round.isFull() {
				l.round.flush()
			}
		}
		l.round.flush()
	}
}

// dispatch finds the handlers of n events; false when the loop has been closed.
func (l *loop) dispatch(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.events[:n] {
		if int(e.Fd) < len(l.entries) && l.entries[e.Fd].generation == e.Pad {
			l.due[i] = l.entries[e.Fd].handler
		}
	}
	return !l.closed
}

// Add makes a loop call the handler when the socket, which must be non-blocking, is readable.
func (l *Loops) Add(fd int, h Handler) error {
	one := l.of(fd)
	one.mu.Lock()
	defer one.mu.Unlock()
	for fd >= len(one.entries) {
		one.entries = append(one.entries, entry{})
	}
	next := entry{handler: h, generation: one.entries[fd].generation + 1}
	err := one.control(unix.EPOLL_CTL_ADD, fd, next.generation)
	if err == nil {
		one.entries[fd] = next
	}
	return err
}

// Remove removes the socket, which must still be open. One more call of its handler may run or follow.
func (l *Loops) Remove(fd int) {
	one := l.of(fd)
	one.mu.Lock()
	defer one.mu.Unlock()
	if fd < len(one.entries) {
		one.entries[fd].handler = nil
		_ = one.control(unix.EPOLL_CTL_DEL, fd, 0) // fails if it is removed already
	}
}

// Rearm makes a loop call the handler again if the socket is still readable.
func (l *Loops) Rearm(fd int) {
	one := l.of(fd)
	one.mu.Lock()
	defer one.mu.Unlock()
	if fd < len(one.entries) && one.entries[fd].handler != nil {
		_ = one.control(unix.EPOLL_CTL_MOD, fd, one.entries[fd].generation) // fails only after close
	}
}

// control calls epoll_ctl(2). The caller holds mu.
func (l *loop) control(op, fd int, generation int32) error {
	if l.closed {
		return os.ErrClosed // the number of epoll may be another file's by now
	}
	return unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Events: interest, Fd: int32(fd), Pad: generation})
}

// close makes run return, once a handler that is running has returned.
func (l *loop) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	_ = l.file.Close() // an error changes nothing
}

// Read is a non-blocking recv(2). It bypasses the scheduler's bookkeeping of system calls, which costs
// more than it saves for a call that never blocks.
func Read(fd int, b []byte) (int, syscall.Errno) { return call(unix.SYS_RECVFROM, fd, b) }

// Write is a non-blocking send(2), as Read is.
func Write(fd int, b []byte) (int, syscall.Errno) { return call(unix.SYS_SENDTO, fd, b) }

// call makes a system call on a socket, which with MSG_DONTWAIT no signal interrupts.
func call(number uintptr, fd int, b []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}

// Take closes the connection and returns its socket, which the caller then owns, for a loop. With an
// error the connection is unchanged.
func Take(conn io.Closer) (fd int, err error) {
	source, ok := conn.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("take the socket of a %T: %w", conn, errors.ErrUnsupported)
	}
	raw, err := source.SyscallConn()
	if err != nil {
		return -1, err
	}
	// The runtime's poller must not wait for it as well; it releases the old descriptor at Close.
	controlErr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(controlErr, err); err != nil {
		return -1, err
	}
	_ = conn.Close() // the duplicate stays open
	return fd, nil
}
