package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/internal/client/report/html"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// runFlags is the command line of stepctl run.
type runFlags struct {
	settings  config.Client
	session   string
	plain     bool
	record    string
	pcap      string
	json      bool
	documents documents
	// file is the step file; empty for a built-in procedure.
	file string
}

func newRun(stdout, stderr *os.File) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run FILE | --data " + strings.Join(stepfile.BuiltinNames(), "|"),
		Short: "perform a procedure against an agent",
		Long: `run performs a procedure: it sends the steps in order, waits for each reply up to the step's
timeout, then waits the step's interval. A failed step does not stop the run. Failures are logged to
stderr with step id and reason.

At a terminal it shows the step in progress, and at the end a table. Otherwise it prints one line per
step. The last line is the result in one sentence. Ctrl-C ends the run and keeps the record so far; a
second one ends the program.

--json changes the output on stdout: the events of the record as JSON lines, instead of text. The
other flags write files in addition to the output.

With --pcap the packets of the run, and no others, are captured on all interfaces, without another
program. On Linux, stepctl needs a capability for this, to be set once:
  sudo setcap cap_net_raw+ep "$(command -v stepctl)"
` + settingsHelp + `

Exit codes:
  0  every expected step passed
  1  a step failed, timed out or was not answered, or the run was interrupted
  2  the command line, a setting or the step file is wrong
  3  no agent could be reached
  4  the evidence requested (--record, --pcap, --json, --html, --junit, --tap, --summary) could
     not be written, was removed, or is incomplete; or every step passed and the agent sent more
     messages that answer no request than --max-strays`,
		Example: `  stepctl run steps.json --host bench-7 --port 8080
  stepctl run --data failure --record failure.jsonl
  stepctl run steps.json --record run.jsonl --html run.html --lang ko --junit run.xml
  stepctl run steps.json --json | jq -c 'select(.event == "reply")'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			flags.settings = settings.Client
			if len(args) > 0 && !cmd.Flags().Changed("data") {
				flags.settings.Data = "" // a step file is named
			}
			flags.documents.lang = html.Language(settings.Lang)
			procedure, err := flags.procedure(args)
			if err != nil {
				return err
			}
			ctx, release := interruptible(cmd)
			defer release()
			return flags.perform(ctx, procedure, stdout, stderr)
		},
		ValidArgsFunction: completeFiles(1, "json"),
	}
	flags.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	addSettings(cmd, "data", "host", "port", "timeout", "max-strays", "log-format")
	set.StringVar(&f.session, "session", "", "`NAME` of the session (default: a random one)")
	set.BoolVar(&f.plain, "plain", false, "behave as clients without sessions: a connection for every step")
	set.StringVar(&f.record, "record", "", "write the run's record to a new `FILE`, as JSON lines")
	set.StringVar(&f.pcap, "pcap", "", "capture the run's packets to a new `FILE`, as pcapng; needs a capability, see above")
	f.documents.register(cmd)
	set.BoolVar(&f.json, "json", false, "print the record's events as JSON lines instead of text")
	completeFlag(cmd, "data", stepfile.BuiltinNames())
	completeFlag(cmd, "log-format", []string{"auto", "tint", "text", "json"})
}

// procedure loads the procedure to run.
func (f *runFlags) procedure(args []string) (stepfile.Procedure, error) {
	switch {
	case f.settings.Data != "" && len(args) > 0:
		return stepfile.Procedure{}, errors.New("name a step file or give --data, not both")
	case f.settings.Data == "" && len(args) == 0:
		return stepfile.Procedure{}, errors.New("name a step file, or give --data " + strings.Join(stepfile.BuiltinNames(), ", "))
	case len(args) > 1:
		return stepfile.Procedure{}, fmt.Errorf("name one step file, got %d", len(args))
	}
	if len(args) == 1 {
		f.file = args[0]
	}
	return loadProcedure(f.settings.Data, f.file)
}

// loadProcedure loads the named built-in procedure or, if the name is empty, the step file.
func loadProcedure(builtin, file string) (stepfile.Procedure, error) {
	if builtin != "" {
		return stepfile.Builtin(builtin)
	}
	procedure, err := stepfile.Load(file)
	if err != nil {
		err = &exitError{exitUsage, err}
	}
	return procedure, err
}

// perform runs the procedure with the options of the flags.
func (f *runFlags) perform(ctx context.Context, procedure stepfile.Procedure, stdout, stderr *os.File) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	logger, err := logging.New(stderr, logging.Options{Format: f.settings.LogFormat})
	if err != nil {
		return err
	}
	p := &execution{logger: logger, documents: f.documents}
	if err := p.documents.prepare(namedFile{"the step file", f.file}, namedFile{"--record", f.record}, namedFile{"--pcap", f.pcap}); err != nil {
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
		if p.capture, err = startCapture(ctx, f.pcap, f.settings, procedure); err != nil {
			return err
		}
		opts.Dial = p.capture.Dial
	}
	p.out.to = stdout
	switch {
	case f.json:
		p.view = lines{io.Discard} // stdout has the events
		p.evidence = append(p.evidence, record.NewWriter(stdout))
	case isTerminal(stdout):
		p.view = newProgress(&p.out, func() report.Style { return styleOf(stdout) }, !isTerminal(stderr))
	default:
		p.view = lines{&p.out}
	}
	if len(p.documents.requested()) > 0 {
		p.evidence = append(p.evidence, record.NewWriter(&p.recorded))
	}
	return p.run(ctx, procedure, opts)
}

// options returns the options of the run.
func (f *runFlags) options() (runner.Options, error) {
	if f.plain && f.session != "" {
		return runner.Options{}, errors.New("--plain names no session; leave out --session")
	}
	// The record has the name of this machine; a machine without a name may run too.
	name, _ := os.Hostname()
	opts := runner.Options{
		Address: f.settings.Address(), Session: f.session, Plain: f.plain,
		DialTimeout: f.settings.Timeout.Duration(), MaxStrays: f.settings.MaxStrays,
		ClientVersion: version.Number(), Host: name,
	}
	return opts, opts.Validate() // before anything is written
}
