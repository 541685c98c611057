package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// verifyFlags is the command line of stepctl verify.
type verifyFlags struct {
	steps     string
	data      string
	record    string
	config    string
	port      portFlag
	json      bool
	shows     []string
	tolerance secondsFlag
}

func newVerify() *cobra.Command {
	flags := verifyFlags{tolerance: secondsFlag(verify.DefaultTolerances().Late)}
	cmd := &cobra.Command{
		Use:   "verify CAPTURE...",
		Short: "judge a packet capture again, offline",
		Long: `verify reads packet captures (pcap or pcapng, also gzip), finds the agent, its clients and
their sessions, has the validators judge every step again, and says of each step whether the
capture shows what it claims: the reply, its code and reason, that it came within the
declared timeout, and that the declared interval was kept after it.

With --steps it also says whether the procedure that was sent is the file's, and takes from
it what the requests do not declare. With --record it says whether a run record tells the
same story, event by event. With --config it judges by that agent's validators and rules,
else by those that an agent has without a config. A file that is named success, failure or
timeout must show that; --shows says it of any other, and --shows none of no file.

pass, fail and inconclusive are about the evidence, not about the run: a capture that shows
truthfully how a step was refused is a pass. inconclusive means that the capture does not
hold enough to tell: packets are missing or cut off, it begins or ends in the middle. A
session of fewer steps than the agent's sessions have is inconclusive, unless --steps or
--record says that it was all. A CAPTURE of - is standard input.

Exit codes:
  0  every capture supports everything that is claimed
  1  something that is claimed is not so
  2  a file cannot be read, or the command line is wrong
  4  the output could not be written
  5  inconclusive: a capture does not hold enough to tell, and nothing is known to be wrong;
     or interrupted`,
		Example: `  stepctl verify run.pcapng
  stepctl verify timeout.pcapng --steps timeout_data.json --record timeout.jsonl
  stepctl verify bench.pcap.gz --config stepagent.toml --json | jq .verdict`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name a capture")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer release()
			return flags.verify(ctx, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return []cobra.Completion{"pcap", "pcapng", "gz"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	flags.register(cmd)
	return cmd
}

func (f *verifyFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&f.steps, "steps", "", "the procedure that is said to have been sent: a step `FILE`")
	set.StringVar(&f.data, "data", "", "the same, a built-in procedure: `NAME` is "+strings.Join(stepfile.BuiltinNames(), ", "))
	set.StringVar(&f.record, "record", "", "compare with the run's record in `FILE`; needs a single capture")
	set.StringVar(&f.config, "config", "", "judge by the config `FILE` of the agent")
	set.Var(&f.port, "port", "the agent's port; without it, who sends replies is the agent")
	set.BoolVar(&f.json, "json", false, "write one JSON object a capture instead of the text")
	set.StringSliceVar(&f.shows, "shows", nil, "what the captures are said to show: `LIST` of success, failure, timeout, or none (default: what a file's name says)")
	set.Var(&f.tolerance, "tolerance", "how much longer than declared an interval may be, or a tenth of it if that is more")
	for name, values := range map[string][]string{
		"data": stepfile.BuiltinNames(), "shows": append(claimNames(), "none"),
	} {
		// It fails for unknown flags only.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

func claimNames() []string {
	var names []string
	for _, c := range verify.Claims() {
		names = append(names, string(c))
	}
	return names
}

// verify judges the captures, one after the other. What is wrong with one does not keep the
// others from being judged.
func (f *verifyFlags) verify(ctx context.Context, paths []string, stdout, stderr io.Writer) error {
	opts, done, err := f.options(ctx, paths)
	if err != nil {
		return err
	}
	defer done()
	worst := exitPassed
	for i, path := range paths {
		opts.Claims = f.claims(path)
		code, err := f.one(ctx, path, opts, stdout, stderr, i > 0)
		if err != nil {
			return err
		}
		worst = worse(worst, code)
	}
	if worst == exitPassed {
		return nil
	}
	return &exitError{code: worst}
}

// worse returns the exit code that counts for two captures: a file that cannot be read, then a
// fail, then one that says too little.
func worse(a, b int) int {
	for _, code := range []int{exitUsage, exitFailed, exitInconclusive} {
		if a == code || b == code {
			return code
		}
	}
	return exitPassed
}

// one judges one capture and returns its exit code.
func (f *verifyFlags) one(ctx context.Context, path string, opts verify.Options, stdout, stderr io.Writer, further bool) (int, error) {
	shown := newReading(path, stderr)
	c, broken := capture.ReadFile(ctx, path, capture.Options{Port: uint16(f.port), Wanted: verify.Wanted, Progress: shown.progress})
	shown.done()
	if ctx.Err() != nil {
		return 0, &exitError{exitInconclusive, fmt.Errorf("interrupted while reading %s; it is not judged", nameOf(path))}
	}
	if broken != nil {
		_, _ = fmt.Fprintf(stderr, "stepctl: %v\n", broken) // if it cannot be said, the exit code says it
	}
	if c == nil || broken != nil && c.Packets == 0 {
		return exitUsage, nil
	}
	r, err := verify.Capture(ctx, c, broken, opts)
	if ctx.Err() != nil {
		return 0, &exitError{exitInconclusive, fmt.Errorf("interrupted while judging %s", nameOf(path))}
	}
	if err != nil {
		return 0, &exitError{exitUsage, err}
	}
	if f.json {
		enc := json.NewEncoder(stdout)
		enc.SetEscapeHTML(false)
		err = enc.Encode(r)
	} else {
		if further {
			_, _ = fmt.Fprintln(stdout) // the report after it tells of an error
		}
		err = r.Text(stdout, logging.Clean)
	}
	switch err := written(err); {
	case err != nil:
		return 0, err
	case broken != nil:
		return exitUsage, nil //nolint:nilerr // it has been said
	case r.Verdict == verify.Fail:
		return exitFailed, nil
	case r.Verdict == verify.Inconclusive:
		return exitInconclusive, nil
	}
	return exitPassed, nil
}

// options says by what the captures are judged; done ends what was started for it.
func (f *verifyFlags) options(ctx context.Context, paths []string) (opts verify.Options, done func(), err error) {
	for _, name := range f.shows {
		if name != "none" && !slices.Contains(claimNames(), name) || name == "none" && len(f.shows) > 1 {
			return opts, nil, fmt.Errorf("--shows %s is none of %s, none", name, strings.Join(claimNames(), ", "))
		}
	}
	opts.Port, opts.Tolerances = uint16(f.port), verify.DefaultTolerances()
	opts.Tolerances.Late = time.Duration(f.tolerance)
	if opts.Procedure, err = f.procedure(); err != nil {
		return opts, nil, err
	}
	if f.record != "" {
		if len(paths) > 1 {
			return opts, nil, errors.New("--record is of one run; name one capture, or join them to one with mergecap first")
		}
		log, err := record.ReadFile(f.record)
		if err != nil {
			return opts, nil, &exitError{exitUsage, err}
		}
		opts.Record = &log
	}
	loaded, err := config.Load(config.Sources{File: f.config})
	if err != nil {
		return opts, nil, &exitError{exitUsage, err}
	}
	rules, err := verify.LoadRules(ctx, loaded, version.Number())
	if err != nil {
		return opts, nil, &exitError{exitUsage, err}
	}
	opts.Judge, opts.Session, opts.MessageBytes = rules.Judge, rules.Session, rules.MessageBytes
	opts.Rules, opts.Simple = rules.Text, rules.Simple
	return opts, rules.Close, nil
}

func (f *verifyFlags) procedure() (*stepfile.Procedure, error) {
	var p stepfile.Procedure
	var err error
	switch {
	case f.steps != "" && f.data != "":
		return nil, errors.New("give --steps or --data, not both")
	case f.data != "":
		p, err = stepfile.Builtin(f.data)
		return &p, err
	case f.steps == "":
		return nil, nil //nolint:nilnil // nothing is said to have been sent
	}
	if p, err = stepfile.Load(f.steps); err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return &p, nil
}

// claims returns what a capture is said to show.
func (f *verifyFlags) claims(path string) []verify.Claim {
	if len(f.shows) == 0 {
		return verify.NameClaims(path)
	}
	var claims []verify.Claim
	for _, name := range f.shows {
		if name != "none" {
			claims = append(claims, verify.Claim(name))
		}
	}
	return claims
}
