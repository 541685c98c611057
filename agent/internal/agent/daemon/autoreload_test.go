package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestChangeDuringLongReload: a change of files that finds another reload in progress for too long is
// tried again.
func TestChangeDuringLongReload(t *testing.T) {
	t.Parallel()
	for name, reload := range map[string]func(*Agent, context.Context, func() bool) error{
		"config": (*Agent).reloadIf, "certificates": (*Agent).reloadCertificates,
	} {
		t.Run(name, func(t *testing.T) {
			a := &Agent{reloading: make(chan struct{}, 1), stopping: t.Context()}
			a.reloading <- struct{}{} // by the other reload
			late, cancel := context.WithCancelCause(t.Context())
			cancel(errTooLong)
			var log bytes.Buffer
			calls, again := 0, make(chan struct{})
			r := &autoReloader{log: slog.New(slog.NewTextHandler(&log, nil)), what: "it is",
				reload: func(_ context.Context, unchanged func() bool) error {
					if calls++; calls == 2 {
						close(again)
						return nil
					}
					return reload(a, late, unchanged)
				}}
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			r.watch(time.Millisecond, time.Unix(1, 0), file) // since when the file is new
			select {
			case <-again:
			case <-time.After(20 * time.Second):
				t.Error("it is not tried again")
			}
			r.watch(0, time.Time{})
			r.done.Wait()
			if !strings.Contains(log.String(), "another reload is in progress: more than") {
				t.Errorf("the log does not say why:\n%s", log.String())
			}
		})
	}
}

// TestNoReloadBeginsAfterStop: once the agent stops no reload begins, though none is in progress.
func TestNoReloadBeginsAfterStop(t *testing.T) {
	stopping, stop := context.WithCancel(t.Context())
	stop()
	a := &Agent{reloading: make(chan struct{}, 1), stopping: stopping}
	for range 100 { // select takes any of those that are ready
		if err := a.beginReload(t.Context()); !errors.Is(err, errStops) {
			t.Fatalf("got %v, want %v", err, errStops)
		}
	}
	if len(a.reloading) > 0 {
		t.Error("a reload is in progress")
	}
}
