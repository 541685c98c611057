package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// runFlags is the command line of stepctl run.
type runFlags struct {
	data      string
	host      string
	port      portFlag
	timeout   secondsFlag
	session   string
	plain     bool
	record    string
	pcap      string
	json      bool
	documents documents
	// file is the step file; empty for a built-in procedure.
	file      string
	logFormat string
	maxStrays countFlag
}

func newRun(stdout, stderr *os.File) *cobra.Command {
	flags := runFlags{port: defaultPort, timeout: secondsFlag(runner.DefaultDialTimeout),
		maxStrays: runner.DefaultMaxStrays}
	cmd := &cobra.Command{
		Use:   "run FILE | --data " + strings.Join(stepfile.BuiltinNames(), "|"),
		Short: "perform a procedure against an agent",
		Long: `run performs a procedure: it sends the steps one after the other, waits for each reply
up to the step's timeout, waits the step's interval, and goes on with the next step whatever
happened. Failures are logged to stderr with step id and reason.

At a terminal it shows the step that is under way, and at the end a table. Elsewhere it
writes one line a step. The last line says in one sentence what came of the run. Ctrl-C ends
the run at once and keeps the record so far; a second one ends the program.

With --pcap the packets of the run, and no others, are captured from the first to the last, on
all interfaces, without any other program. On Linux, stepctl needs a right for
that, which is given once:
  sudo setcap cap_net_raw+ep "$(command -v stepctl)"
` + settingsHelp + `

Exit codes:
  0  every expected step passed
  1  a step failed, timed out or was not answered, or the run was interrupted
  2  the command line, a setting or the step file is wrong
  3  no agent could be reached
  4  the evidence asked for (--record, --pcap, --json, --html, --junit, --tap, --summary) could
     not be written, is not there any more, or is not whole; or every step passed and the agent
     sent more messages that answer nothing than --max-strays`,
		Example: `  stepctl run steps.json --host bench-7 --port 8080
  stepctl run --data failure --record failure.jsonl
  stepctl run steps.json --record run.jsonl --html run.html --lang ko --junit run.xml
  stepctl run steps.json --json | jq -c 'select(.event == "reply")'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			but := []string{}
			if len(args) > 0 {
				but = append(but, "data") // a step file is named
			}
			if err := applySettings(cmd, but...); err != nil {
				return err
			}
			procedure, err := flags.procedure(args)
			if err != nil {
				return err
			}
			ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer release()
			context.AfterFunc(ctx, release) // a second signal ends the program at once
			return flags.perform(ctx, procedure, stdout, stderr)
		},
		ValidArgsFunction: completeJSON,
	}
	flags.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&f.data, "data", "", "run a built-in procedure: `NAME` is "+strings.Join(stepfile.BuiltinNames(), ", "))
	set.StringVar(&f.host, "host", defaultHost, "the agent's host `NAME` or address")
	set.Var(&f.port, "port", "the agent's port")
	set.Var(&f.timeout, "timeout", "the longest wait for a connection; the wait for a reply is in the step file")
	set.StringVar(&f.session, "session", "", "the session's `NAME`, a random one when not given")
	set.BoolVar(&f.plain, "plain", false, "do as clients that know no sessions: a connection for every step")
	set.StringVar(&f.record, "record", "", "write the run's record to a new `FILE`, as JSON lines")
	set.StringVar(&f.pcap, "pcap", "", "capture the run's packets to a new `FILE`, as pcapng; needs the right to, see above")
	f.documents.register(cmd)
	set.BoolVar(&f.json, "json", false, "write the record's events to stdout as JSON lines, and nothing else")
	set.Var(&f.maxStrays, "max-strays", "how many messages that answer nothing are kept; further ones are counted")
	set.StringVar(&f.logFormat, "log-format", "auto", "how stderr is written: `FORMAT` is auto, tint, text or json")
	settingsFlag(cmd)
	for name, values := range map[string][]string{
		"data": stepfile.BuiltinNames(), "log-format": {"auto", "tint", "text", "json"},
	} {
		// It fails for unknown flags only.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

// procedure reads what is to be run.
func (f *runFlags) procedure(args []string) (stepfile.Procedure, error) {
	switch {
	case f.data != "" && len(args) > 0:
		return stepfile.Procedure{}, errors.New("name a step file or give --data, not both")
	case f.data != "":
		return stepfile.Builtin(f.data)
	case len(args) == 0:
		return stepfile.Procedure{}, errors.New("name a step file, or give --data " + strings.Join(stepfile.BuiltinNames(), ", "))
	case len(args) > 1:
		return stepfile.Procedure{}, fmt.Errorf("name one step file, got %d", len(args))
	}
	f.file = args[0]
	procedure, err := stepfile.Load(f.file)
	if err != nil {
		err = &exitError{exitUsage, err}
	}
	return procedure, err
}

// perform runs the procedure as the flags say.
func (f *runFlags) perform(ctx context.Context, procedure stepfile.Procedure, stdout, stderr *os.File) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	logger, err := logging.New(stderr, logging.Options{Format: f.logFormat})
	if err != nil {
		return fmt.Errorf("--log-format: %w", err)
	}
	p := &performance{logger: logger, documents: f.documents}
	if err := p.documents.prepare(named{"the step file", f.file}, named{"--record", f.record}, named{"--pcap", f.pcap}); err != nil {
		return err
	}
	if f.record != "" {
		file, err := record.Create(f.record)
		if err != nil {
			return &exitError{exitEvidence, err}
		}
		p.evidence = append(p.evidence, file)
	}
	if f.pcap != "" {
		if p.capture, err = startCapture(ctx, f.pcap, opts.Address, procedure); err != nil {
			return err
		}
		opts.Dial = p.capture.Dial
	}
	p.out.to = stdout
	switch {
	case f.json:
		p.view = silent{}
		p.evidence = append(p.evidence, record.NewWriter(stdout))
	case isTerminal(stdout):
		p.view = newProgress(&p.out, func() report.Style { return styleOf(stdout) }, !isTerminal(stderr))
	default:
		p.view = lines{&p.out}
	}
	p.keep()
	return p.perform(ctx, procedure, opts)
}

// options says how the procedure is run.
func (f *runFlags) options() (runner.Options, error) {
	to, err := address(f.host, f.port)
	if err != nil {
		return runner.Options{}, err
	}
	if f.plain && f.session != "" {
		return runner.Options{}, errors.New("--plain names no session; leave out --session")
	}
	// The record says where the run was made; a machine without a name is no obstacle.
	name, _ := os.Hostname()
	opts := runner.Options{
		Address: to, Session: f.session, Plain: f.plain, DialTimeout: time.Duration(f.timeout),
		MaxStrays:     int(f.maxStrays),
		ClientVersion: version.Number(), Host: name,
	}
	return opts, opts.Validate() // before anything is written
}
