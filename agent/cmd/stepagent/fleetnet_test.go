package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// isolatedVariable says in the environment of a test's process that inNamespaces has started it.
const isolatedVariable = "ISOLATED_TEST"

// inNamespaces runs a test once more as a process in namespaces of its own, with the flags args, and reports
// whether this is that process. It has an empty network, and what it starts ends with it. It ends with the
// process that has started it, even if that is killed.
func inNamespaces(t *testing.T, args ...string) bool {
	t.Helper()
	if os.Getenv(isolatedVariable) != "" {
		if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil { // of the new process ids
			t.Fatal(err)
		}
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin) // ends with the process that has the other end
			os.Exit(1)
		}()
		return true
	}
	if os.Geteuid() != 0 {
		t.Fatal("the test makes network namespaces; run it as root")
	}
	for _, program := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; install iproute2 and util-linux", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args = append(args, "-test.run=^"+t.Name()+"$", fmt.Sprintf("-test.v=%t", testing.Verbose()))
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), isolatedVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWPID, Unshareflags: syscall.CLONE_NEWNS}
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if _, err = cmd.StdinPipe(); err == nil { // which closes when this process ends
		err = cmd.Run()
	}
	if err != nil {
		t.Errorf("the test in its namespaces: %v", err)
	}
	return false
}

// A fleetHost is a host in a network namespace of its own. All hosts are connected to one switch, and so is
// the test.
type fleetHost struct {
	natstest.Place
	t    *testing.T
	port string // of the switch
}

// newFleetHosts makes a switch and n hosts.
func newFleetHosts(t *testing.T, n int) (hosts []*fleetHost) {
	t.Helper()
	test := &fleetHost{t: t}
	test.ip("link set lo up", "link add switch type bridge", "addr add 10.99.0.254/24 dev switch", "link set switch up")
	for i := range n {
		holder := exec.Command("sleep", "infinity")
		holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = holder.Process.Kill() // fails if it has ended
			_ = holder.Wait()         // it was killed
		})
		h := &fleetHost{t: t, port: fmt.Sprintf("port%d", i+1)}
		h.Address = fmt.Sprintf("10.99.0.%d", i+1)
		h.Enter = []string{"nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", holder.Process.Pid), "--"}
		test.ip(fmt.Sprintf("link add %s type veth peer name eth0 netns %d", h.port, holder.Process.Pid),
			"link set "+h.port+" master switch up")
		h.ip("link set lo up", "addr add "+h.Address+"/24 dev eth0", "link set eth0 up")
		hosts = append(hosts, h)
	}
	return hosts
}

// places returns where hosts are.
func places(hosts []*fleetHost) (all []natstest.Place) {
	for _, h := range hosts {
		all = append(all, h.Place)
	}
	return all
}

// ip performs commands of ip(8) at the host.
func (h *fleetHost) ip(commands ...string) {
	h.t.Helper()
	args := append(slices.Clone(h.Enter), "ip", "-batch", "-")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(strings.Join(commands, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("%q: %v\n%s", commands, err, out)
	}
}

// unplug cuts a host off from all others and from the test, until mend is called.
func (h *fleetHost) unplug() (mend func()) {
	h.t.Helper()
	test := &fleetHost{t: h.t}
	test.ip("link set " + h.port + " down")
	return func() { test.ip("link set " + h.port + " up") }
}

// part cuts each host of the one side off from each of the other side, until mend is called: what they send is
// lost on the way, as they have a hardware address of each other that no interface has.
func part(one, other []*fleetHost) (mend func()) {
	each := func(format string) {
		for _, sides := range [][2][]*fleetHost{{one, other}, {other, one}} {
			for _, h := range sides[0] {
				var commands []string
				for _, peer := range sides[1] {
					commands = append(commands, fmt.Sprintf(format, peer.Address))
				}
				h.ip(commands...)
			}
		}
	}
	each("neigh replace %s lladdr 02:00:00:00:00:00 nud permanent dev eth0")
	return func() { each("neigh del %s dev eth0") }
}
