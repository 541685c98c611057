package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// loadFlags is the command line of stepctl load.
type loadFlags struct {
	clients   int
	duration  time.Duration
	rate      float64
	reconnect load.Reconnect
	allowLost bool
	json      bool
	secured   secured
	store     storeFlags
}

func newLoad(stdout, stderr *os.File) *cobra.Command {
	flags := loadFlags{duration: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "load --clients N --duration D",
		Short: "put an agent under load and check every reply",
		Long: `load has many clients perform a built-in procedure repeatedly, without its intervals, against
an agent with its default validators. Every reply is compared with the expected one, so the agent
needs the default settings of sequence, min_timeout and session.steps.

Without --rate the loop is closed: a client sends the next step when it has the reply to the last.
With --rate, steps are due at fixed times, spread evenly over the clients, and latencies count from
these times, even if a step is sent late.

A step that the agent could not judge (validator_unavailable, busy, internal) counts as missing and
is sent again. After any other failure a client makes a new connection and begins a new session. It
pauses between attempts, first 10 ms, then 20 ms and so on up to 1 s. Failures are counted as

  wrong     a reply other than the expected one, or more than one reply
  missing   no verdict: no reply within --wait, or one of the reasons above
  lost      no verdict, because the agent closed or reset the connection, or was shutting down
  refused   the agent did not accept a connection, or one side refused it over TLS

A restart of the agent costs each client the step in flight. With --allow-lost these steps are not a
failure; refused connections still are.

At the end each client completes its session, so that none stays open. The steps after the end are
checked too. They are counted as finishing, in neither the throughput nor the latencies.

With --db the result is stored in a database, and stderr names its id.

At a terminal, stderr shows the progress. Ctrl-C ends the load and shows the result so far; a second
one ends the program.
` + tlsHelp + `
All clients have the same certificate. A handshake costs the agent several times as much as a step, so
that --reconnect measures little else.
` + settingsHelp + `

Exit codes:
  0  every reply was the expected one
  1  a reply was wrong, missing or lost, a connection was refused, or no step was judged
  2  the command line is wrong, or this machine does not allow that many connections
  3  no agent could be reached, or one side refused the connections over TLS
  4  the result could not be written or stored`,
		Example: `  stepctl load --clients 256 --duration 10s
  stepctl load --clients 1000 --duration 1m --rate 5000 --host bench-7
  stepctl load --clients 200 --duration 30s --allow-lost --json`,
		Args: loadArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := loadSettings(cmd)
			if err != nil {
				return err
			}
			if flags.secured, err = openTLS(cmd, settings.Client); err != nil {
				return err
			}
			defer flags.secured.close()
			options, err := flags.options(settings.Client)
			if err != nil {
				return err
			}
			meta, err := flags.store.meta(settings.Client)
			if err != nil {
				return err
			}
			meta.Kind, meta.Procedure = database.KindLoad, builtinOf(settings.Client)
			meta.Address, meta.Client, meta.Host = options.Address, version.Number(), hostName()
			if path := flags.secured.keylogPath(); path != "" {
				_, _ = fmt.Fprintf(stderr, "stepctl: %s: %s\n", keylogWarning, path)
			}
			ctx, release := interruptible(cmd)
			defer release()
			test := loadTest{options: options, json: flags.json, verdict: flags.verdict, stdout: stdout, stderr: stderr}
			if settings.DB == "" {
				return test.perform(ctx)
			}
			db, err := openDatabase(ctx, settings.Client, storing)
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }() // the recorder reports what could not be stored
			takeIn(ctx, db, stderr)
			return test.store(ctx, db, meta)
		},
	}
	flags.register(cmd)
	return cmd
}

func (f *loadFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.IntVar(&f.clients, "clients", 10, fmt.Sprintf("`NUMBER` of clients, 1 to %d", load.MaxClients))
	set.Func("duration", "`DURATION` of the sending of steps, such as 30s or 2m (default 10s)", f.setDuration)
	addSettings(cmd, append([]string{"host", "port", "data", "wait", "db"}, tlsFlags()...)...)
	set.Lookup("data").Usage += " (default success)"
	set.Float64Var(&f.rate, "rate", 0, "`STEPS` per second of all clients together, 0 for a closed loop")
	set.Func("reconnect", "make a new connection for each `step|session`; --reconnect alone means each step", f.setReconnect)
	set.Lookup("reconnect").NoOptDefVal = "step"
	set.BoolVar(&f.allowLost, "allow-lost", false, "accept steps that were lost with their connections")
	f.store.register(cmd)
	set.BoolVar(&f.json, "json", false, "print one JSON object instead of text")
}

// setDuration reads a length of time with its unit, or a number of seconds.
func (f *loadFlags) setDuration(text string) (err error) {
	if f.duration, err = config.ParseSeconds(text); err == nil {
		return nil
	}
	if f.duration, err = time.ParseDuration(text); err != nil || f.duration <= 0 {
		return errors.New("write a length of time above 0, such as 500ms, 30s or 2m")
	}
	return nil
}

// setReconnect reads how often the clients make a new connection.
func (f *loadFlags) setReconnect(text string) error {
	choice, ok := map[string]load.Reconnect{
		"step": load.EachStep, "session": load.EachSession,
		"true": load.EachStep, "false": load.Never, "": load.Never, // as for a boolean flag
	}[text]
	if !ok {
		return fmt.Errorf("write --reconnect or --reconnect=step, or --reconnect=session, not %q", text)
	}
	f.reconnect = choice
	return nil
}

// loadArgs refuses arguments. The value of --reconnect is optional and needs the =, so the hint is for
// users who wrote it as an argument.
func loadArgs(cmd *cobra.Command, args []string) error {
	err := cli.NoArgs(cmd, args)
	if err != nil && (args[0] == "step" || args[0] == "session") {
		return fmt.Errorf("%w; did you mean --reconnect=%s?", err, args[0])
	}
	return err
}

// builtinOf returns the name of the built-in procedure of a load test.
func builtinOf(settings config.Client) string { return cmp.Or(settings.Data, "success") }

func (f *loadFlags) options(settings config.Client) (load.Options, error) {
	if n := len(settings.Addresses()); n > 1 {
		return load.Options{}, fmt.Errorf("a load is for one agent, and the host names %d; name one with --host", n)
	}
	procedure, err := stepfile.Builtin(builtinOf(settings))
	if err != nil {
		return load.Options{}, err
	}
	plan, err := load.Procedure(procedure)
	if err != nil {
		return load.Options{}, err
	}
	o := load.Options{
		Address: settings.Address(), Clients: f.clients, Duration: f.duration, Rate: f.rate,
		Reconnect: f.reconnect, Wait: settings.Wait.Duration(), TLS: f.secured.config, Plan: plan,
	}
	return o, o.Check()
}

// verdict returns the error with the exit code of a load.
func (f *loadFlags) verdict(r load.Result) error {
	bad := r.Count(load.Wrong) + r.Count(load.Missing) + r.Count(load.Refused)
	if !f.allowLost {
		bad += r.Count(load.Lost)
	}
	switch {
	case bad > 0:
		return &exitError{code: exitFailed}
	case r.Steps == 0:
		return &exitError{exitFailed, errors.New("no step was judged; try a longer --duration")}
	default:
		return nil
	}
}
