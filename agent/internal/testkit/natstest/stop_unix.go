//go:build unix

package natstest

import "syscall"

// Stop stops the process of the server with SIGSTOP: its connections stay open and nothing answers.
func (n *Node) Stop() { n.signal(syscall.SIGSTOP) }

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
