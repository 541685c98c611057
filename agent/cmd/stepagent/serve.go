package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/config"
	"github.com/stepagent/stepagent/agent/internal/daemon"
	"github.com/stepagent/stepagent/agent/internal/logging"
	"github.com/stepagent/stepagent/agent/internal/systemd"
	"github.com/stepagent/stepagent/agent/internal/version"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the agent",
		Long: `serve runs the agent until SIGTERM or SIGINT, which lets steps in flight get their reply; a
second one ends it at once. SIGHUP reads the config again, like stepagent reload.

` + precedence,
		Example: `  stepagent serve
  stepagent serve --host 192.168.1.100 --port 9090 --timeout 7
  stepagent serve --config /etc/stepagent/stepagent.toml`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), sources(cmd), cmd.ErrOrStderr())
		},
	}
	addSettings(cmd, "host", "port", "allow", "timeout", "log-format", "log-level", "admin-socket")
	return cmd
}

func serve(ctx context.Context, from config.Sources, stderr io.Writer) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer signal.Stop(signals)

	c, err := config.Load(from)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	log, err := logging.New(stderr, logging.Options{Format: c.Log.Format, Level: level})
	if err != nil {
		return err
	}
	service, err := systemd.New(log)
	if err != nil {
		return err
	}
	defer service.Close()
	agent, err := daemon.Start(ctx, daemon.Options{
		Load:    func() (*config.Loaded, error) { return config.Load(from) },
		Version: version.Number(), Plugin: self(), Adopt: true, Service: service, Log: log, Level: level,
	})
	if err != nil {
		return err
	}
	return supervise(ctx, agent, signals, log)
}

var errSecondSignal = errors.New("a second signal came")

// supervise does as the signals say until the agent has stopped.
func supervise(ctx context.Context, agent *daemon.Agent, signals <-chan os.Signal, log *slog.Logger) error {
	failed := make(chan error, 1)
	go func() { failed <- agent.Wait() }()
	for {
		select {
		case err := <-failed:
			stopErr := agent.Stop(ctx)
			return errors.Join(err, stopErr)
		case got := <-signals:
			if got == syscall.SIGHUP {
				// The agent logs why a reload was refused; nobody else is there to be told.
				go func() { _ = agent.Reload(ctx) }()
				continue
			}
			log.Info("signal received", slog.String("signal", got.String()))
			return stop(ctx, agent, signals)
		}
	}
}

// stop stops the agent; a further signal makes it do so at once.
func stop(ctx context.Context, agent *daemon.Agent, signals <-chan os.Signal) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		for got := range signals {
			if got != syscall.SIGHUP {
				cancel(errSecondSignal)
				return
			}
		}
	}()
	if err := agent.Stop(ctx); errors.Is(err, errSecondSignal) {
		return err
	}
	return nil
}
