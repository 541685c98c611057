package natstest

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"time"
)

// configVariable has the path of a server's config in the environment of its process.
const configVariable = "NATSTEST_CONFIG"

// Main runs a server instead of the tests if this process was started by a Node, and then does not
// return. It is for TestMain, before all else.
func Main() {
	config := os.Getenv(configVariable)
	if config == "" {
		return
	}
	s, err := newServer(config)
	if err != nil {
		panic(err)
	}
	s.Start()
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the process of the test
	s.Shutdown()
	os.Exit(0)
}

func (n *Node) beginProcess() {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	command := append(slices.Clone(n.enter), self)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), configVariable+"="+n.config())
	cmd.Stderr = os.Stderr
	if _, err = cmd.StdinPipe(); err == nil { // which closes when this process ends, also by SIGKILL
		err = cmd.Start()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.outside = cmd
}

// awaitReady waits until the server accepts clients.
func (n *Node) awaitReady() {
	n.t.Helper()
	at, err := url.Parse(n.URL)
	if err != nil {
		n.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", at.Host, time.Second)
		if err == nil {
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err = io.ReadFull(conn, make([]byte, len("INFO")))
			if closeErr := conn.Close(); err == nil && closeErr == nil {
				return
			}
		}
		if n.inside == nil && n.outside == nil {
			err = errors.Join(err, errors.New("it was killed"))
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("the NATS server at %s does not start: %v", at.Host, err)
		}
	}
}
