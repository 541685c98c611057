package sdk

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// blockingPair returns the two ends of a data path, the agent's first.
func blockingPair(t *testing.T) (*net.UnixConn, *blockingConn) {
	t.Helper()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	agent, err := net.DialUnix("unix", nil, listener.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Close() })
	accepted, err := listener.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	plugin, err := newBlockingConn(accepted)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = plugin.Close() })
	return agent, plugin
}

func TestABlockingConnCarriesBothWays(t *testing.T) {
	agent, plugin := blockingPair(t)
	flags, err := unix.FcntlInt(plugin.Fd(), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("its flags are %#x, %v", flags, err)
	}
	if flags, err = unix.FcntlInt(plugin.Fd(), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("a process that a validator starts inherits it: %#x, %v", flags, err)
	}
	buffer := make([]byte, 8)
	for _, way := range [][2]io.ReadWriter{{agent, plugin}, {plugin, agent}} {
		if _, err := way[0].Write([]byte("step")); err != nil {
			t.Fatal(err)
		}
		if n, err := way[1].Read(buffer); err != nil || string(buffer[:n]) != "step" {
			t.Errorf("got %q, %v", buffer[:n], err)
		}
	}
	_ = agent.Close()
	if n, err := plugin.Read(buffer); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
}

// No thread is left waiting in the kernel for an agent that does not end the conn itself.
func TestClosingABlockingConnEndsWhoWaits(t *testing.T) {
	_, plugin := blockingPair(t)
	ended := make(chan error)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, err := plugin.Read(make([]byte, 8))
		ended <- err
	}()
	go func() {
		var err error
		for err == nil {
			_, err = plugin.Write(make([]byte, 64<<10))
		}
		ended <- err
	}()
	<-begun
	_ = plugin.Close()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("no error")
		}
	}
}
