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

// maxEvents is how many sockets are called in one round at most.
const maxEvents = 256

// Loops are event loops that share sockets among them. The methods are safe for concurrent
// use.
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

// Close ends the loops, and waits for the handlers that are being called. Sockets that are
// left are not touched. After it no handler is called, and Add returns an error. A further Close
// does nothing.
func (l *Loops) Close() {
	l.closing.Do(func() {
		for _, one := range l.all {
			one.stop()
		}
		l.running.Wait()
		for _, one := range l.all {
			one.close()
		}
	})
}

func (l *Loops) of(fd int) *loop { return l.all[fd%len(l.all)] }

// Add has the handler called when the socket, which must not block, has something to read.
func (l *Loops) Add(fd int, h Handler) error { return l.of(fd).add(fd, h) }

// Remove has the handler not called any more, but for a call that has begun or is about to. It
// comes before the socket is closed.
func (l *Loops) Remove(fd int) { l.of(fd).remove(fd) }

// interest is what a loop asks for: each change once (EPOLLET), and the end of the stream and
// urgent data apart from the bytes before them.
const interest = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

// ended are the events after which nothing more comes, or not by one read.
const ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR | unix.EPOLLPRI

// A loop is one of them.
type loop struct {
	epoll  int
	file   *os.File // the same, and raw again
	raw    syscall.RawConn
	wakeup int
	events [maxEvents]unix.EpollEvent
	due    [maxEvents]Handler
	round  Round

	mu      sync.Mutex
	places  []place // by the number of the socket
	stopped bool
}

// A place is who waits for a socket.
type place struct {
	handler Handler
	// turn tells those apart who had sockets of the same number one after another: what was
	// found for an earlier one is not for the next. It goes with each event, epoll_event(3type).
	turn int32
}

func newLoop() (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err == nil {
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wakeup, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wakeup)})
		if err == nil {
			err = unix.SetNonblock(epoll, true) // so that the runtime's poller takes it
		}
		if err != nil {
			_ = unix.Close(wakeup)
		}
	}
	if err != nil {
		_ = unix.Close(epoll)
		return nil, fmt.Errorf("event loop: %w", err)
	}
	l := &loop{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), wakeup: wakeup}
	l.round.Buffer = make([]byte, BufferBytes)
	l.raw, err = l.file.SyscallConn()
	if err != nil {
		l.close()
		return nil, fmt.Errorf("event loop: %w", err)
	}
	return l, nil
}

// wait waits for events. An epoll is a file that can be waited for too, so it is the runtime's
// poller that waits, with the goroutine: a thread that waits in epoll_wait would keep a processor of
// the scheduler until that notices.
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
		if err != nil || !l.look(n) { // an error is one of ours: see epoll_wait(2)
			return
		}
		for i, h := range l.due[:n] {
			if h != nil {
				h.Ready(&l.round, l.events[i].Events&ended != 0)
				l.due[i] = nil
			}
			if l.round.isFull() {
				l.round.end()
			}
		}
		l.round.end()
	}
}

// look finds whom the events concern; false when the loop has been stopped.
func (l *loop) look(n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, e := range l.events[:n] {
		if int(e.Fd) < len(l.places) && l.places[e.Fd].turn == e.Pad {
			l.due[i] = l.places[e.Fd].handler
		}
	}
	return !l.stopped
}

func (l *loop) add(fd int, h Handler) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for fd >= len(l.places) {
		l.places = append(l.places, place{})
	}
	next := place{handler: h, turn: l.places[fd].turn + 1}
	err := l.control(unix.EPOLL_CTL_ADD, fd, next)
	if err == nil {
		l.places[fd] = next
	}
	return err
}

func (l *loop) remove(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd < len(l.places) {
		l.places[fd].handler = nil
		_ = l.control(unix.EPOLL_CTL_DEL, fd, place{}) // fails where it has been done
	}
}

// control changes what the loop waits for. The caller holds mu.
func (l *loop) control(what, fd int, p place) error {
	if l.stopped {
		return os.ErrClosed // the number of the epoll may be another file's by now
	}
	return unix.EpollCtl(l.epoll, what, fd, &unix.EpollEvent{Events: interest, Fd: int32(fd), Pad: p.turn})
}

func (l *loop) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped = true
	_, _ = unix.Write(l.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails where one is there
}

func (l *loop) close() {
	_ = unix.Close(l.wakeup)
	_ = l.file.Close()
}

// Read is recv(2) that does not wait. The scheduler is not told of it, which for a call that never
// waits would cost more than it saves; nor has the kernel to go by way of read(2).
func Read(fd int, b []byte) (int, syscall.Errno) { return call(unix.SYS_RECVFROM, fd, b) }

// Write is send(2), in the way of Read.
func Write(fd int, b []byte) (int, syscall.Errno) { return call(unix.SYS_SENDTO, fd, b) }

func call(number uintptr, fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, err := syscall.RawSyscall6(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch err {
		case 0:
			return int(n), 0
		case syscall.EINTR:
		default:
			return 0, err
		}
	}
}

// Take closes the connection and returns its socket, which belongs to the caller then, for a
// loop to wait for. With an error the connection is as it was.
func Take(conn interface {
	io.Closer
	syscall.Conn
}) (fd int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	// The runtime's own poller must not wait for it as well, and lets go of it at the close.
	controlErr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(controlErr, err); err != nil {
		return -1, err
	}
	_ = conn.Close() // the duplicate is what counts
	return fd, nil
}
