package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
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
	secured   secured
	session   string
	plain     bool
	noRetry   bool
	record    string
	resume    resumeFlag
	boards    boardFlags
	pcap      string
	json      bool
	documents documents
	store     storeFlags
	// file is the step file; empty for a procedure that is built in or stored.
	file string
	// stored is NAME or NAME@VERSION of a procedure in the database; empty for another one.
	stored string
}

func newRun(stdout, stderr *os.File) *cobra.Command {
	var flags runFlags
	cmd := &cobra.Command{
		Use:   "run FILE | --procedure NAME[@VERSION] | --data " + strings.Join(stepfile.BuiltinNames(), "|"),
		Short: "perform a procedure against an agent, or against many boards",
		Long: `run performs a procedure: it sends the steps in order, waits for each reply up to the step's
timeout, then waits the step's interval. A failed step does not stop the run. Failures are logged to
stderr with step id and reason.

If the connection is lost, or the agent is restarted, busy or cannot judge, run sends the step again, with
the same req and within the step's timeout, for a minute at most: the agent judges it once. The output, the
record and the reports say that it reconnected and how long the agent was away. A step that is not
answered in time has failed. --no-retry ends a step at the first such failure.

--host may name several agents that share their sessions, or several addresses of one agent, such as
a,b:8081,[2001:db8::7]:8080. The run begins at the first that can be reached. Where a step would be sent
again, it goes to the next of them at once, and after the last to the first; a pause comes only when each was
tried. The run stays where a step got its verdict. With --no-retry only the first connection tries all. The
output, the record and the reports say with which agent the run went on, and from which step.

At a terminal it shows the step in progress, and at the end a table. Otherwise it prints one line per
step. The last line is the result in one sentence. Ctrl-C ends the run and keeps the record so far; a
second one ends the program.

--json changes the output on stdout: the events of the record as JSON lines, instead of text. The
other flags write files in addition to the output.

With --resume a run goes on that was interrupted, such as when stepctl was killed or its machine was
switched off: RECORD is its record, and FILE its step file. The steps that have an outcome keep it. A step that
was waiting for its reply is sent again, and counts once. The agent is that of the record, or with several the
last that it used and then the others, unless --host or --port is given. It must still have the session
(session.resume_window in its config). The new record of --record begins with the events of the old one.

With --board, which may be repeated, or --boards, a procedure is performed against several boards at the
same time, each in a session of its own. --board NAME is the host of that name, --board NAME=HOST:PORT
another one; a line of a boards file has a name and, after spaces, an address. A port that is not given is
8080. A name or an address twice is an error. A board that fails, or that is not reached, does not stop
the others, unless --fail-fast is given: then they are interrupted, and those that have not begun are not
run. --jobs limits how many boards are at work at the same time.

At a terminal there is a line for each board. Otherwise each step is a line that begins with the name of its
board. The last lines are the result of each board, in the order given, and that of all in one sentence.
In the names of --record, --pcap, --session and of reports, {board} stands for the name of the board. A
report without it is about all boards, and beside such a page of --html there is one for each board:
FILE-NAME.html for FILE.html. With --json each event has its board as the first member. With --db each
board has a run of its own. --board NAME beside --host or --port only names that agent, in the database.

With --pcap the packets of the run, and no others, are captured on all interfaces, without another
program. On Linux, stepctl needs a capability for this, to be set once:
  sudo setcap cap_net_raw+ep "$(command -v stepctl)"

With --db the run is stored in a database as it happens, with every event of the record, and its id
is logged at the end; --procedure performs a procedure of the database. If the database fails during
the run, the run goes on, and its events wait in a file until the database is there again.
` + tlsHelp + `
--keylog adds the keys of the connections to a file, with which verify can judge a capture. Only its
owner may read it.
` + settingsHelp + `

Exit codes:
  0  every expected step passed, on every board
  1  a step failed, timed out or was not answered, or the run was interrupted; or, of several boards,
     one was not reached
  2  the command line, a setting, the step file or the boards file is wrong
  3  no agent could be reached, or one side refused the connection over TLS; of several boards, by none
  4  the evidence requested (--record, --pcap, --keylog, --db, --json, --html, --junit, --tap, --summary)
     could not be written, was removed, or is incomplete; or every step passed and the agent sent
     more messages that answer no request than --max-strays`,
		Example: `  stepctl run steps.json --host bench-7 --port 8080
  stepctl run --data failure --record failure.jsonl
  stepctl run steps.json --host bench-7,bench-8,bench-9:8081 --record run.jsonl
  stepctl run steps.json --host bench-7 --tls --ca ca.pem --cert station.pem --key station.key
  stepctl run steps.json --record run.jsonl --html run.html --lang ko --junit run.xml
  stepctl run steps.json --resume run.jsonl --record resumed.jsonl
  stepctl run --procedure door@3 --db runs.db --board bench-7 --label firmware=2.1
  stepctl run steps.json --board bench-7 --board door=10.0.0.8:8081 --record runs/{board}.jsonl
  stepctl run steps.json --boards lab.txt --jobs 20 --junit lab.xml --html lab.html
  stepctl run steps.json --json | jq -c 'select(.event == "reply")'`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			flags.settings = settings.Client
			if (len(args) > 0 || flags.stored != "") && !cmd.Flags().Changed("data") {
				flags.settings.Data = "" // another procedure is named
			}
			flags.documents.lang = html.Language(settings.Lang)
			if err := flags.resume.read(cmd, &flags.settings); err != nil {
				return err
			}
			if err := flags.chooseBoards(cmd); err != nil {
				return err
			}
			if flags.secured, err = openTLS(cmd, settings.Client); err != nil {
				return err
			}
			defer flags.secured.close()
			ctx, release := interruptible(cmd)
			defer release()
			return flags.run(ctx, args, stdout, stderr)
		},
		ValidArgsFunction: completeFiles(1, "json"),
	}
	flags.register(cmd)
	return cmd
}

func (f *runFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	addSettings(cmd, append([]string{"data", "host", "port", "timeout", "max-strays", "log-format", "db"}, tlsFlags()...)...)
	f.boards.register(cmd)
	set.StringVar(&f.stored, "procedure", "", "perform the procedure `NAME[@VERSION]` of the database")
	f.store.registerLabels(cmd)
	set.StringVar(&f.session, "session", "", "`NAME` of the session (default: a random one)")
	set.BoolVar(&f.plain, "plain", false, "behave as clients without sessions: a connection for every step")
	set.BoolVar(&f.noRetry, "no-retry", false, "do not send a step again that got no verdict")
	set.StringVar(&f.record, "record", "", "write the run's record to a new `FILE`, as JSON lines")
	set.StringVar(&f.resume.path, "resume", "", "go on with the run of the `RECORD`, which was interrupted")
	set.StringVar(&f.pcap, "pcap", "", "capture the run's packets to a new `FILE`, as pcapng; needs a capability, see above")
	f.documents.register(cmd)
	set.BoolVar(&f.json, "json", false, "print the record's events as JSON lines instead of text")
	completeFlag(cmd, "data", stepfile.BuiltinNames())
	completeFlagBy(cmd, "procedure", completeFromDatabase(0, procedureNames))
	completeFlag(cmd, "log-format", []string{"auto", "tint", "text", "json"})
}

// run chooses the procedure, opens the database, if one is named, and runs the procedure.
func (f *runFlags) run(ctx context.Context, args []string, stdout, stderr *os.File) error {
	if err := f.choose(args); err != nil {
		return err
	}
	meta, err := f.store.meta(f.settings)
	if err != nil {
		return err
	}
	var db *database.DB
	if f.settings.DB != "" {
		if db, err = openDatabase(ctx, f.settings, storing); err != nil {
			return err
		}
		defer func() { _ = db.Close() }() // the recorder reports what could not be stored
		takeIn(ctx, db, stderr)
	}
	procedure, err := f.procedure(ctx, db, &meta)
	if err != nil {
		return err
	}
	if len(f.boards.list) > 0 {
		return f.performBoards(ctx, procedure, db, meta, stdout, stderr)
	}
	return f.perform(ctx, procedure, db, meta, stdout, stderr)
}

// logger returns the logger of stderr.
func (f *runFlags) logger(stderr io.Writer) (*slog.Logger, error) {
	logger, err := logging.New(stderr, logging.Options{Format: f.settings.LogFormat})
	if err == nil {
		f.secured.warn(logger)
	}
	return logger, err
}

// choose checks that one procedure is named.
func (f *runFlags) choose(args []string) error {
	named := len(args)
	for _, name := range []string{f.settings.Data, f.stored} {
		if name != "" {
			named++
		}
	}
	switch {
	case named == 0:
		return errors.New("name a step file, or give --data " + strings.Join(stepfile.BuiltinNames(), ", "))
	case len(args) > 1:
		return fmt.Errorf("name one step file, got %d", len(args))
	case named > 1 && f.stored != "":
		return errors.New("--procedure names what to run; leave out the step file and --data")
	case named > 1:
		return errors.New("name a step file or give --data, not both")
	case f.stored != "" && f.settings.DB == "":
		return errors.New("--procedure is of a database; name it with --db")
	case len(args) == 1:
		f.file = args[0]
	}
	return nil
}

// procedure loads the procedure to run. Meta gets its name and version if it is stored.
func (f *runFlags) procedure(ctx context.Context, db *database.DB, meta *database.Meta) (stepfile.Procedure, error) {
	if f.stored == "" {
		return loadProcedure(f.settings.Data, f.file)
	}
	v, content, err := storedVersion(ctx, db, f.stored)
	if err != nil {
		return stepfile.Procedure{}, storing.exit(ctx, err)
	}
	meta.Procedure, meta.Version = v.Name, v.Version
	procedure, findings := stepfile.Parse(versionName(v), content)
	if err := stepfile.AsError(procedure.Name, findings); err != nil {
		return procedure, &exitError{exitUsage, err}
	}
	return procedure, nil
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

// perform runs the procedure with the options of the flags. db is nil for no database.
func (f *runFlags) perform(ctx context.Context, procedure stepfile.Procedure, db *database.DB, meta database.Meta, stdout, stderr *os.File) error {
	opts, err := f.options()
	if err == nil {
		err = f.resume.apply(&opts, procedure)
	}
	if err != nil {
		return err
	}
	logger, err := f.logger(stderr)
	if err != nil {
		return err
	}
	if f.resume.unused != "" {
		logger.Info(`a run that is resumed is not stored in the database; add the new record with "stepctl db add"`)
	}
	p := &execution{logger: logger, documents: f.documents}
	if err := p.documents.prepare(namedFile{"the step file", f.file}, namedFile{"--resume", f.resume.path}, namedFile{"--record", f.record}, namedFile{"--pcap", f.pcap},
		namedFile{"--keylog", f.secured.keylogPath()}, databaseFile(f.settings.DB), databaseFile(f.resume.unused)); err != nil {
		return err
	}
	if err := p.documents.spare(procedure.SHA256); err != nil { // of the database, it has no file
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
		p.recorded = new(readBack)
		p.evidence = append(p.evidence, record.NewWriter(p.recorded))
	}
	if db != nil {
		if err := p.store(ctx, db, meta); err != nil {
			return err
		}
	}
	return p.run(ctx, procedure, opts)
}

// options returns the options of the run.
func (f *runFlags) options() (runner.Options, error) {
	if f.plain && f.session != "" {
		return runner.Options{}, errors.New("--plain names no session; leave out --session")
	}
	addresses := f.settings.Addresses()
	opts := runner.Options{
		Address: addresses[0], Fallbacks: addresses[1:], Session: f.session, Plain: f.plain,
		DialTimeout: f.settings.Timeout.Duration(), MaxStrays: f.settings.MaxStrays,
		ClientVersion: version.Number(), Host: hostName(),
		TLS: f.secured.config, KeyLog: f.secured.keylogPath(),
	}
	if f.noRetry {
		opts.RetryFor = -1
	}
	return opts, opts.Validate() // before anything is written
}
