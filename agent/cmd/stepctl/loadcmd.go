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

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// loadFlags is the command line of stepctl load.
type loadFlags struct {
	host      string
	port      portFlag
	clients   int
	duration  durationFlag
	rate      float64
	reconnect reconnectFlag
	data      string
	wait      secondsFlag
	allowLost bool
	json      bool
}

func newLoad(stdout, stderr *os.File) *cobra.Command {
	flags := loadFlags{port: defaultPort, clients: 10, duration: durationFlag(10 * time.Second), wait: secondsFlag(load.DefaultWait)}
	cmd := &cobra.Command{
		Use:   "load --clients N --duration D",
		Short: "put an agent under the load of many clients and check every reply",
		Long: `load lets many clients perform a built-in procedure over and over, without its intervals,
against an agent with its default validators. Every reply is compared with the one that must
come, so the agent needs the default settings of sequence, min_timeout and session.steps.

Without --rate the loop is closed: a client sends its next step when it has the reply to the
last. With --rate, steps have times at which they are to be sent, spread evenly over the
clients, and the time of a reply counts from then, however late the step could be sent.

A step that the agent could not judge (validator_unavailable, busy, internal) counts as
missing and is sent again. After any other trouble a client makes a new connection and begins
its procedure anew in a new session, with a pause of 10 ms, then 20 ms and so on up to 1 s:

  wrong     a reply came, and it is not the one that must come; one too many as well, when it comes
            before the connection is closed
  missing   no verdict: no reply within --wait, or one of the reasons above
  lost      no verdict, because the agent closed the connection, broke it, or was stopping
  refused   a connection was not made, or was turned away

A restart of the agent costs each client the step that it has in flight. --allow-lost does not
count these as a failure; that no connection is refused meanwhile still must hold.

At the end each client takes its session to its last step, so that none stays open. These steps
are checked as well; they are counted apart, as finishing, and neither in the throughput nor in
the latencies.

At a terminal it shows on stderr how far it is. Ctrl-C ends the load and shows the result so
far; a second one ends the program.
` + settingsHelp + `

Exit codes:
  0  every reply was the one that must come
  1  a reply was wrong, missing or lost, a connection was refused, or no step was judged
  2  the command line is wrong, or this machine does not allow that number of connections
  3  no agent could be reached
  4  the result could not be written`,
		Example: `  stepctl load --clients 256 --duration 10s
  stepctl load --clients 1000 --duration 1m --rate 5000 --host bench-7
  stepctl load --clients 200 --duration 30s --allow-lost --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := applySettings(cmd); err != nil {
				return err
			}
			options, err := flags.options()
			if err != nil {
				return err
			}
			ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer release()
			context.AfterFunc(ctx, release) // a second signal ends the program at once
			return flags.perform(ctx, options, stdout, stderr)
		},
	}
	flags.register(cmd)
	return cmd
}

func (f *loadFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.IntVar(&f.clients, "clients", f.clients, fmt.Sprintf("the `NUMBER` of clients, 1 to %d", load.MaxClients))
	set.Var(&f.duration, "duration", "how long steps are sent, such as 30s or 2m")
	set.StringVar(&f.host, "host", defaultHost, "the agent's host `NAME` or address")
	set.Var(&f.port, "port", "the agent's port")
	set.Float64Var(&f.rate, "rate", 0, "`STEPS` to be sent in a second by all clients together, 0 for a closed loop")
	set.Var(&f.reconnect, "reconnect", "make a new connection for each step, or with =session for each session")
	set.Lookup("reconnect").NoOptDefVal = string(eachStep)
	set.StringVar(&f.data, "data", "success", "the built-in procedure: `NAME` is "+strings.Join(stepfile.BuiltinNames(), ", "))
	set.Var(&f.wait, "wait", "the longest wait for a reply and for a connection")
	set.BoolVar(&f.allowLost, "allow-lost", false, "do not fail for steps that were lost with their connections")
	set.BoolVar(&f.json, "json", false, "write the result to stdout as one JSON object")
	settingsFlag(cmd)
}

func (f *loadFlags) options() (load.Options, error) {
	to, err := address(f.host, f.port)
	if err != nil {
		return load.Options{}, err
	}
	procedure, err := stepfile.Builtin(f.data)
	if err != nil {
		return load.Options{}, fmt.Errorf("--data: %w", err)
	}
	plan, err := load.Procedure(procedure)
	if err != nil {
		return load.Options{}, err
	}
	o := load.Options{
		Address: to, Clients: f.clients, Duration: time.Duration(f.duration), Rate: f.rate,
		Reconnect: f.reconnect.choice(), Wait: time.Duration(f.wait), Plan: plan,
	}
	return o, o.Check()
}

// perform puts the load on the agent, shows what came of it, and returns the error that gives
// the exit code.
func (f *loadFlags) perform(ctx context.Context, o load.Options, stdout, stderr *os.File) error {
	var line *loadLine
	if isTerminal(stderr) {
		line = &loadLine{to: stderr, width: func() int { return terminalWidth(stderr) }, total: o.Duration}
		o.Progress, o.ProgressInterval = line.draw, loadRedraw
	}
	result, err := load.Run(ctx, o)
	if line != nil {
		line.erase()
	}
	switch {
	case errors.Is(err, load.ErrUnreachable):
		return &exitError{exitUnreachable, err}
	case errors.Is(err, context.Canceled):
		return &exitError{exitFailed, errors.New("interrupted before the first step")}
	case err != nil:
		return &exitError{exitUsage, err}
	}
	write := writeLoad
	if f.json {
		write = writeLoadJSON
	}
	if err := written(write(stdout, o, result)); err != nil {
		return err
	}
	return f.verdict(result)
}

// verdict gives a load its exit code.
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
