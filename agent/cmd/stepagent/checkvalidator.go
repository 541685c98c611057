package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stepagent/stepagent/agent/internal/agent/conformance"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

func newCheckValidator() *cobra.Command {
	var o struct {
		name, settings string
		args, data     []string
		stepIDs        stepIDsFlag
		verbose        bool
	}
	cmd := &cobra.Command{
		Use:   "check PATH",
		Short: "check a validator of your own, in any language",
		Long: `check starts the program at PATH as an agent would and tests the contract: that it starts,
answers within its time and size limits, is pure and safe for concurrent use, survives any input
and ends when asked to. It shows which inputs each validator declares and whether the agent would
cache its verdicts. It needs no running agent. On any violation it ends with 1.

A validator that reads the data which clients send needs samples of it: --data.`,
		Example: `  stepagent validators check ./torque --settings '{"newton_metres":12.5}' --data '{"torque":12.4}'
  stepagent validators check /usr/local/lib/stepagent/torque --settings torque.json`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) != 1:
				return cli.Usagef("check takes the path of one program, got %d", len(args))
			case args[0] == "":
				return cli.Usagef("the path of the program is empty")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			subject := conformance.Subject{Path: path, Args: o.args, Validator: o.name, StepIDs: o.stepIDs}
			if subject.Settings, err = object("--settings", o.settings); err != nil {
				return err
			}
			for _, text := range o.data {
				data, err := object("--data", text)
				if err != nil {
					return err
				}
				subject.Data = append(subject.Data, data)
			}
			return checkValidator(cmd, subject, o.verbose)
		},
	}
	cmd.Flags().StringVar(&o.name, "name", "", "the validator `NAME` (default: all of the program)")
	cmd.Flags().StringVar(&o.settings, "settings", "", "settings as `JSON`, {\"key\":1}, or the path of a file of it")
	cmd.Flags().StringArrayVar(&o.args, "arg", nil, "an argument `ARG` of the program; may be repeated")
	cmd.Flags().StringArrayVar(&o.data, "data", nil, "data of a step as `JSON`, or the path of a file of it; may be repeated")
	cmd.Flags().Var(&o.stepIDs, "step-id", "further step `IDS` to try, such as 700,701, besides 0 to 12 and extreme ones")
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show the program's stderr and the events of its processes")
	return cmd
}

// A stepIDsFlag is a list of step ids, with commas or by giving the flag several times.
type stepIDsFlag []int64

func (s *stepIDsFlag) Set(text string) error {
	for _, word := range strings.Split(text, ",") {
		id, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			return errors.New("write step ids with commas, such as 700,701")
		}
		*s = append(*s, id)
	}
	return nil
}

func (s *stepIDsFlag) String() string { return strings.Trim(fmt.Sprint([]int64(*s)), "[]") }
func (s *stepIDsFlag) Type() string   { return "IDS" }

// maxObjectBytes is the length of the largest file that holds settings or data.
const maxObjectBytes = 1 << 20

// object returns the JSON object of a flag, which holds it or the path of a file with it.
func object(flag, value string) ([]byte, error) {
	if value == "" {
		return nil, nil
	}
	text, from := []byte(value), flag
	if !strings.HasPrefix(strings.TrimSpace(value), "{") {
		file, err := os.Open(value)
		if err != nil {
			return nil, cli.Usagef("%s is neither a JSON object nor a file: %w", flag, err)
		}
		defer func() { _ = file.Close() }() // read only
		if text, err = io.ReadAll(io.LimitReader(file, maxObjectBytes+1)); err != nil {
			return nil, cli.Usagef("%s: %w", flag, err)
		}
		from = value
		if len(text) > maxObjectBytes {
			return nil, cli.Usagef("%s is larger than %d bytes", value, maxObjectBytes)
		}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, cli.Usagef("%s is no JSON object: %w", from, err)
	}
	return text, nil
}

var errInterrupted = errors.New("a signal came before the check had ended")

var errNotConforming = errors.New("the validator does not keep the contract")

func checkValidator(cmd *cobra.Command, subject conformance.Subject, verbose bool) error {
	out := &checkOutput{w: cmd.OutOrStdout(), progress: cmd.ErrOrStderr()}
	file, ok := out.progress.(*os.File)
	out.live = ok && term.IsTerminal(int(file.Fd()))
	ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer release() // after the folder is removed
	// A folder of its own: an agent may be running.
	dir, err := daemon.TempRuntimeDir()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the temporary folder: no harm if it stays
	log := slog.New(slog.DiscardHandler)
	if verbose {
		log = slog.New(slog.NewTextHandler(out.progress, nil))
		out.live = false
	}
	host, err := pluginhost.New(pluginhost.Options{SocketDir: filepath.Join(dir, "plugins"), Logger: log, Adopt: true})
	if err != nil {
		return err
	}
	defer host.Close()
	sound := conformance.Run(ctx, host, subject, out)
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case !sound:
		return errNotConforming
	}
	_, err = fmt.Fprintf(out.w, "%s: sound\n", subject.Path)
	return err
}

// A checkOutput writes one line for each check, and on a terminal how far a long one is.
type checkOutput struct {
	w, progress io.Writer
	live        bool
	shown       bool
}

// Line implements conformance.Listener.
func (o *checkOutput) Line(l conformance.Line) {
	o.clear()
	text := fmt.Sprintf("%-11s  %s", l.State, l.Check)
	switch {
	case l.State == conformance.OK && l.Detail != "":
		text += " (" + l.Detail + ")"
	case l.Detail != "":
		text += "\n             " + strings.ReplaceAll(l.Detail, "\n", "\n             ")
	}
	_, _ = fmt.Fprintln(o.w, text) // the last line of the command returns the error
}

// Progress implements conformance.Listener.
func (o *checkOutput) Progress(check string, done, of int) {
	if o.live {
		o.shown = true
		_, _ = fmt.Fprintf(o.progress, "\r%3d %%  %s", done*100/max(of, 1), check)
	}
}

func (o *checkOutput) clear() {
	if o.shown {
		_, _ = fmt.Fprint(o.progress, "\r\x1b[K")
		o.shown = false
	}
}
