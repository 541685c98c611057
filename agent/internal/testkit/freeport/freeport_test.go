package freeport_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
)

// A free port refuses connections and can be listened on, even while other processes are started,
// as by tests in parallel.
func TestFree(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	starting.Go(func() {
		for ctx.Err() == nil {
			_ = exec.CommandContext(ctx, self, "-test.run=^$").Run() // how it ends does not matter
		}
	})
	defer starting.Wait()
	defer cancel()
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for range rounds {
		port, err := freeport.Free()
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", "localhost:"+port); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("port %s: connection %v, error %v", port, conn, err)
		}
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			t.Fatal(err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
