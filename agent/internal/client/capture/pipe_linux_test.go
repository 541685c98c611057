package capture_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// TestPipe: a capture is read from a pipe while it is written, and one that gives nothing does
// not keep an interrupt from ending the reading.
func TestPipe(t *testing.T) {
	pipe := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	silent := pipe("silent")
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := make(chan error, 1)
	go func() {
		_, err := capture.ReadFile(ctx, silent, capture.Options{})
		interrupted <- err
	}()
	cancel()
	if err := <-interrupted; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}

	path := pipe("capture")
	written := make(chan error, 1)
	go func() {
		written <- os.WriteFile(path, capturetest.File{}.Write(talk(client4, agent4, 1, 1).Packets()), 0o600)
	}()
	c, err := capture.ReadFile(t.Context(), path, capture.Options{})
	if err := errors.Join(err, <-written); err != nil {
		t.Fatal(err)
	}
	checkTalk(t, c)
}
