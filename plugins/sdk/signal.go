package sdk

import (
	"os"
	"os/signal"
	"syscall"
)

// obeyAgentOnly keeps SIGTERM from ending the process while its agent lives; an orphan obeys
// it. The returned function gives the signal its usual meaning back. go-plugin does the same
// for SIGINT.
//
// The signal is caught and not ignored, because a child process would inherit that.
func obeyAgentOnly() (stop func()) {
	agent := os.Getppid()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
				if os.Getppid() != agent {
					os.Exit(0)
				}
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}
