package sdk

import (
	"os"
	"os/signal"
	"syscall"
)

// obeyAgentOnly ignores SIGTERM while the agent lives; an orphan exits at it. The returned function
// restores the default. go-plugin ignores SIGINT.
//
// The signal is caught and discarded, because child processes would inherit an ignored signal.
func obeyAgentOnly() (stop func()) {
	agent := os.Getppid()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			if os.Getppid() != agent {
				os.Exit(0)
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(signals)
	}
}
