package peers

import (
	"net"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// serveLimit is what a server on this machine cannot beat: an echo server that is one thread in
// epoll_wait(2), recv(2) and send(2), as one in C would be, with neither goroutines nor a garbage
// collector.
func serveLimit(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(2) // the loop keeps one of them
	debug.SetGCPercent(-1)
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	go echoLoop(epoll)
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		fd, err := eventloop.Take(conn.(*net.TCPConn))
		if err != nil {
			return err
		}
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			return err
		}
	}
}

func echoLoop(epoll int) {
	runtime.LockOSThread()
	var events [256]unix.EpollEvent
	buffer := make([]byte, 4096)
	for {
		n, err := unix.EpollWait(epoll, events[:], -1)
		if err != nil && err != unix.EINTR {
			panic(err)
		}
		for _, e := range events[:max(n, 0)] {
			fd := int(e.Fd)
			read, errno := eventloop.Read(fd, buffer)
			if read == 0 {
				if errno != unix.EAGAIN {
					_ = unix.Close(fd) // the other end has
				}
				continue
			}
			for sent := 0; sent < read; {
				n, errno := eventloop.Write(fd, buffer[sent:read])
				if errno == unix.EAGAIN {
					time.Sleep(time.Millisecond)
				} else if errno != 0 {
					break
				}
				sent += n
			}
		}
	}
}
