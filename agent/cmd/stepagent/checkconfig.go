package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/config"
	"github.com/stepagent/stepagent/agent/internal/daemon"
)

func newCheckConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check-config [FILE]",
		Short: "say what is wrong with a config, if anything",
		Long: `check-config reads the config as serve would, with its snippets. When anything is wrong with it, it says all of
that, each with file, line and key, and ends with 1. Otherwise it starts each validator once,
and says the same of their settings.

` + precedence,
		Example: `  stepagent check-config /etc/stepagent/stepagent.toml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("check-config takes one file, got %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from := sources(cmd)
			if len(args) == 1 {
				from.File = args[0]
			}
			return checkConfig(cmd, from)
		},
	}
	addSettings(cmd)
	addInstance(cmd)
	return cmd
}

func checkConfig(cmd *cobra.Command, from config.Sources) error {
	c, err := config.Load(from)
	if err != nil {
		return err
	}
	ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer release() // after the folder is removed
	// A folder of its own: the agent may be running.
	dir, err := daemon.TempRuntimeDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the temporary folder: no harm if it stays
	err = daemon.Check(ctx, c, daemon.Options{
		RuntimeDir: dir, Plugin: self(), Adopt: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	if err != nil {
		return err
	}
	name := cmp.Or(strings.Join(c.Files(), ", "), "the defaults")
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: sound, and its %d validators serve\n", name, len(c.Validators))
	return err
}
