package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// namespacedName is the name under which this test binary runs an agent in a network namespace
	// of its own.
	namespacedName = "namespaced"
	// namespacedAddress is one that comes and goes there.
	namespacedAddress = "10.9.9.9"
)

// namespaced runs a command and does what it reads in lines from stdin: up and down are for the
// address, step is for a client of it. It answers each with a line.
func namespaced() {
	if err := setLoopback(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	cmd := exec.Command("/bin/sh", append([]string{"-c", `exec "$0" "$@"`}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch lines.Text() {
		case "up":
			fmt.Println("up", addAddress())
		case "down":
			fmt.Println("down", removeAddress())
		case "step":
			fmt.Println("step", oneStep(net.JoinHostPort(namespacedAddress, "8080")))
		case "stop":
			fmt.Println("stop", cmd.Process.Signal(syscall.SIGTERM))
			fmt.Println("ended", cmd.Wait())
		}
	}
	_ = cmd.Process.Kill() // has ended as a rule
}

func oneStep(address string) string {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprint(conn, `{"step_id":1}`) // the reply tells
	reply, err := bufio.NewReader(conn).ReadString('\n')
	return fmt.Sprint(strings.TrimSpace(reply), err)
}

// setLoopback sets the interface lo up, which a new namespace has down.
func setLoopback() error {
	return onLoopback("lo", func(fd int, lo *unix.Ifreq) error {
		lo.SetUint16(unix.IFF_UP)
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
	})
}

// addAddress gives lo the address as its second one, removeAddress takes it away: netdevice(7).
func addAddress() error {
	return onLoopback("lo:1", func(fd int, second *unix.Ifreq) error {
		if err := second.SetInet4Addr(net.ParseIP(namespacedAddress).To4()); err != nil {
			return err
		}
		return unix.IoctlIfreq(fd, unix.SIOCSIFADDR, second)
	})
}

func removeAddress() error {
	return onLoopback("lo:1", func(fd int, second *unix.Ifreq) error {
		return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, second) // none: down
	})
}

func onLoopback(name string, do func(fd int, request *unix.Ifreq) error) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	return do(fd, request)
}

// A namespace is an agent in a network namespace of its own.
type namespace struct {
	*agentProcess
	orders  io.Writer
	answers *bufio.Scanner
}

// newNamespace starts stepagent serve with the arguments where lo is down.
func newNamespace(t *testing.T, a *agentProcess, args ...string) *namespace {
	t.Helper()
	cmd := a.command(append([]string{named(t)}, args...)...)
	cmd.Args[0] = namespacedName
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET, // a user has the right to the second by the first
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
	}
	orders, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.port = "8080"
	a.begin(cmd)
	waitFor(t, "the agent to start", func() bool { return strings.Contains(a.stderr.String(), "agent started") })
	return &namespace{a, orders, bufio.NewScanner(answers)}
}

// order has something done in the namespace and returns the answer.
func (n *namespace) order(what string) string {
	n.t.Helper()
	if _, err := fmt.Fprintln(n.orders, what); err != nil {
		n.t.Fatal(err)
	}
	return n.answer(what)
}

func (n *namespace) answer(what string) string {
	n.t.Helper()
	if !n.answers.Scan() {
		n.t.Fatalf("no answer to %s: %v", what, n.answers.Err())
	}
	return strings.TrimPrefix(n.answers.Text(), what+" ")
}

// steps waits until a step on a new connection passes.
func (n *namespace) steps() {
	n.t.Helper()
	waitFor(n.t, "a step to pass", func() bool { return strings.Contains(n.order("step"), `"error_code":0`) })
}

// TestAddressThatIsNotThere: the agent starts, says what it waits for, can be reloaded, and serves as
// soon as the address is there; also when that goes and comes again.
func TestAddressThatIsNotThere(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "host = \""+namespacedAddress+"\"\n")
	n := newNamespace(t, a, "serve", "--config", a.configFile(), "--log-format", "json")
	const absent = "10.9.9.9:8080: this machine does not have the address 10.9.9.9; "
	out, err := n.command("status", "--port", "8080").CombinedOutput()
	if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitDegraded || !strings.Contains(string(out), absent) ||
		!strings.Contains(string(out), "10.9.9.9:8080 (not there yet)\n") {
		t.Errorf("status: %v\n%s", err, out)
	}
	if log := n.stderr.String(); !strings.Contains(log, "the agent waits for it") {
		t.Errorf("the log:\n%s", log)
	}
	if err := n.reload(); err != nil {
		t.Errorf("while it waits: %v", err)
	}
	for range 2 {
		if got := n.order("up"); got != "<nil>" {
			t.Fatal(got)
		}
		n.steps()
		waitFor(t, "good health", func() bool { s := n.status(); return len(s.Trouble) == 0 && s.Address == "10.9.9.9:8080" })
		if got := n.order("down"); got != "<nil>" {
			t.Fatal(got)
		}
		waitFor(t, "the address to be missed", func() bool { return n.status().Absent != "" })
	}
	if got := n.order("stop"); got != "<nil>" {
		t.Fatal(got)
	}
	if got := n.answer("ended"); got != "<nil>" {
		t.Errorf("a stop while it waits: %s", got)
	}
}

// TestServiceWaitsForItsAddress: systemd hears that the agent is ready, for what, and of each change; its
// watchdog is fed.
func TestServiceWaitsForItsAddress(t *testing.T) {
	m := newServiceManager(t, "127.0.0.1:0")
	a := newAgent(t, "host = \""+namespacedAddress+"\"\n")
	t.Setenv("WATCHDOG_USEC", "2000000")
	t.Setenv("NOTIFY_SOCKET", m.notify.LocalAddr().String())
	n := newNamespace(t, a, "serve", "--config", a.configFile(), "--log-format", "json")
	if got := m.expect("READY=1"); !strings.Contains(got, "STATUS=waiting for the address 10.9.9.9:8080 (this machine does not have") {
		t.Errorf("the agent is ready: %q", got)
	}
	m.expect("WATCHDOG=1")
	n.order("up")
	m.expect("STATUS=serving 10.9.9.9:8080; ")
	n.order("down")
	m.expect("STATUS=waiting for the address 10.9.9.9:8080 (")
	n.order("stop")
	m.expect("STOPPING=1")
	n.answer("ended")
}
