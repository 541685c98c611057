package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/signals"
	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "run the agent",
		Long: `serve runs the agent until SIGTERM or SIGINT. Steps in flight still get their reply; a second
signal stops the agent at once. SIGHUP reloads the config, like stepagent reload. A stop cancels a
start or a reload in progress. SIGQUIT and SIGABRT end the agent with a dump of its goroutines.
SIGPIPE, SIGUSR1, SIGUSR2 and other signals are ignored.

The agent waits for an address that the machine does not have yet: it starts, reports this in its
log and its status, and listens as soon as the address appears.

` + precedence,
		Example: `  stepagent serve
  stepagent serve --host 192.168.1.100 --port 9090 --timeout 7
  stepagent serve --config /etc/stepagent/stepagent.toml`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), sources(cmd), cmd.ErrOrStderr())
		},
	}
	addSettings(cmd, "host", "port", "allow", "timeout", "log-format", "log-level", "admin-socket")
	return cmd
}

func serve(ctx context.Context, from config.Sources, stderr io.Writer) error {
	stops := make(chan os.Signal, 2) // the second forces the stop
	signal.Notify(stops, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(stops)
	caught := signals.Catch()

	c, err := config.Load(from)
	if err != nil {
		return err
	}
	level := new(slog.LevelVar)
	lines := logging.NewAsyncWriter(stderr) // judging does not wait for the reader of stderr
	defer lines.Close()
	log, err := logging.New(lines, logging.Options{Format: c.Log.Format, Level: level})
	if err != nil {
		return err
	}
	if names := c.Injected(); len(names) > 0 {
		log.Info("passed over variables that Kubernetes or Docker made for a service of this name; "+
			"enableServiceLinks: false keeps them away", slog.String("variables", strings.Join(names, ", ")))
	}
	eventloop.LimitProcessors()
	service, err := systemd.New(log)
	if err != nil {
		return err
	}
	defer service.Close()
	starting, release := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer release()
	agent, err := daemon.Start(starting, daemon.Options{
		Load:    func() (*config.Loaded, error) { return config.Load(from) },
		Version: version.Number(), Plugin: self(), Adopt: true, Service: service, Log: log, Level: level, Lines: lines,
	})
	switch {
	case err != nil && starting.Err() != nil:
		log.Info("stopped by a signal before the agent had started")
		return nil
	case err != nil:
		return err
	}
	releaseCodePages()
	ended := make(chan struct{})
	defer close(ended)
	go reloads(ctx, agent, caught.HangUps, ended)
	return supervise(ctx, agent, stops, log)
}

// reloads reloads at each SIGHUP until the agent has ended. The agent logs why a reload was refused.
func reloads(ctx context.Context, agent *daemon.Agent, hangUps <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case <-hangUps:
			_ = agent.Reload(ctx)
		case <-ended:
			return
		}
	}
}

var errSecondSignal = errors.New("a second signal came")

// supervise returns when the agent has stopped: after a signal, or after a failure. A second signal
// stops it at once.
func supervise(ctx context.Context, agent *daemon.Agent, signals <-chan os.Signal, log *slog.Logger) error {
	failed := make(chan error, 1)
	go func() { failed <- agent.Wait() }()
	select {
	case err := <-failed:
		return errors.Join(err, agent.Stop(ctx))
	case got := <-signals:
		log.Info("signal received", slog.String("signal", got.String()))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-signals:
			cancel(errSecondSignal)
		case <-ctx.Done():
		}
	}()
	if err := agent.Stop(ctx); errors.Is(err, errSecondSignal) {
		return err
	}
	return nil
}
