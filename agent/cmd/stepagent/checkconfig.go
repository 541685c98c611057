package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

func newCheckConfig() *cobra.Command {
	var o struct{ format, user, unit string }
	cmd := &cobra.Command{
		Use:   "check-config [FILE|-]",
		Short: "check a config and start its validators once",
		Long: `check-config reads the config as serve would, with its snippets. It reports all errors at once,
each with file, line and key, and then ends with 1. Without errors it starts each validator once
and reports errors of their settings in the same way. It warns of what is doubtful: certificates that
end soon, and a folder for sessions that cannot be made or that others may read.

Root checks as the user of the service stepagent, if there is one, because root can read and
execute files that this user cannot. It also reports files that the service cannot see
(ProtectHome=, PrivateTmp=, ...) and what it could not check.

With - it reads standard input; with --format the file may have any name or be a pipe. Relative
paths in a config from standard input are relative to the working directory.

` + precedence,
		Example: `  stepagent check-config /etc/stepagent/stepagent.toml
  sudo stepagent check-config --user bench bench.toml
  generate | stepagent check-config - --format yaml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usagef("check-config takes one file, got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			from := sources(cmd)
			if len(args) == 1 {
				from.File = args[0]
			}
			from.Format, from.Input = o.format, cmd.InOrStdin()
			if err := checkFormat(from); err != nil {
				return cli.Usage(err)
			}
			ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer release() // after the folder for sockets is removed
			if name, _ := cmd.Flags().GetString(instanceFlag); name != "" && !cmd.Flags().Changed("unit") {
				o.unit = "stepagent@" + name + ".service"
			}
			k, err := newChecker(ctx, o.user, o.unit)
			if err != nil {
				return err
			}
			return checkConfig(ctx, cmd, from, k)
		},
	}
	addSettings(cmd)
	addInstance(cmd)
	cmd.Flags().StringVar(&o.format, "format", "", "the `FORMAT` of the file, toml or yaml (default: by its extension)")
	cmd.Flags().StringVar(&o.user, "user", "", "check as this `USER` (default: that of the service, for root)")
	cmd.Flags().StringVar(&o.unit, "unit", defaultUnit, "the service `UNIT` whose user root checks as")
	return cmd
}

// checkFormat refuses an unknown or missing format.
func checkFormat(from config.Sources) error {
	formats := strings.Join(config.Formats(), " or ")
	switch {
	case from.Format != "" && !slices.Contains(config.Formats(), from.Format):
		return fmt.Errorf("--format %q: want %s", from.Format, formats)
	case from.File == config.StandardInput && from.Format == "":
		return fmt.Errorf("state the format of standard input with --format, %s", formats)
	case from.Format == "" && from.File != "" && !config.HasFormat(from.File):
		return fmt.Errorf("the name %q does not tell the format; state it with --format, %s", from.File, formats)
	}
	return nil
}

// loadAs switches to the user of the checker and loads the config. The service's own config is read as
// that user. Any other is read before the switch, with a note where the user cannot read it.
func loadAs(from config.Sources, k *checker, notes io.Writer) (c *config.Loaded, err error) {
	info, statErr := os.Stat(from.File)
	if !k.isOwn(from.File) {
		if c, err = config.Load(from); err != nil {
			return nil, err
		}
	}
	if err := k.switchUser(); err != nil {
		return nil, err
	}
	if c == nil {
		if c, err = config.Load(from); err != nil {
			return nil, k.explain(err)
		}
	} else if statErr == nil && info.Mode().IsRegular() && unix.Access(from.File, unix.R_OK) != nil {
		_, _ = fmt.Fprintf(notes, "stepagent: %s cannot be read where it is%s\n", c.File(), k.as())
	}
	return c, k.hidden(c)
}

func checkConfig(ctx context.Context, cmd *cobra.Command, from config.Sources, k *checker) error {
	if k.note != "" {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "stepagent: %s\n", k.note)
	}
	c, err := loadAs(from, k, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	warnings, err := daemon.CheckCertificates(c)
	if err != nil {
		return k.explain(err)
	}
	if err := daemon.CheckNATS(c); err != nil {
		return k.explain(err)
	}
	if !k.foreign {
		warnings = append(warnings, daemon.CheckSessionDir(c)...)
	}
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "stepagent: warning: %s\n", warning)
	}
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
		return k.explain(err)
	}
	name := cmp.Or(strings.Join(c.Files(), ", "), "the defaults")
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: sound, and its %d validators serve%s\n", name, len(c.Validators), k.as())
	return err
}
