//go:build unix

package natstest

import "syscall"

// Stop stops the process of the server with SIGSTOP, and waits until it is stopped: its connections stay open
// and nothing answers.
func (n *Node) Stop() {
	n.t.Helper()
	n.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(n.outside.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		n.t.Fatalf("the server is not stopped: status %#x, error %v", status, err)
	}
}

// Continue lets a stopped process go on.
func (n *Node) Continue() { n.signal(syscall.SIGCONT) }

func (n *Node) signal(signal syscall.Signal) {
	n.t.Helper()
	if n.outside == nil {
		n.t.Fatal("the server is no process; start it with natstest.Processes()")
	}
	if err := n.outside.Process.Signal(signal); err != nil {
		n.t.Fatal(err)
	}
}
