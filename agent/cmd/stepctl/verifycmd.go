package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/capture/tlsrecord"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/agentrules"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
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
	keyLog    string
	port      uint16
	json      bool
	shows     []string
	tolerance time.Duration
}

func newVerify() *cobra.Command {
	flags := verifyFlags{tolerance: verify.DefaultLate}
	cmd := &cobra.Command{
		Use:   "verify CAPTURE...",
		Short: "judge a packet capture again, offline",
		Long: `verify reads packet captures (pcap or pcapng, also gzip) and finds the agent, its clients and
their sessions. The validators judge every step again. For each step, verify checks the reply with
its code and reason, whether it came within the declared timeout, and whether the declared interval
was kept after it.

With --steps it also compares the procedure sent with the file, and takes from the file what the
requests do not declare. With --record it compares a run record with the capture, event by event.
With --config it judges by the validators and rules of that agent, otherwise by the defaults. With
--keylog it decrypts connections over TLS, which are inconclusive without their keys. A file named
success, failure or timeout must show that. --shows replaces the name's claim; --shows none makes no
claim.

pass, fail and inconclusive are verdicts on the evidence, not on the run: a capture that correctly
shows how a step was refused is a pass. inconclusive means that the capture lacks packets that the
verdict depends on: some are missing or truncated, or it starts or ends during a session. A session
with fewer steps than the agent's sessions have is inconclusive, unless --steps or --record says that
the client sent no more. A CAPTURE of - is standard input.

Exit codes:
  0  every capture supports every claim
  1  a capture contradicts a claim; see the lines marked fail
  2  a file cannot be read, or the command line is wrong
  4  the output could not be written
  5  inconclusive: a capture lacks packets, and none contradicts a claim; or interrupted`,
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
			ctx, release := interruptible(cmd)
			defer release()
			return flags.verify(ctx, args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
		ValidArgsFunction: completeFiles(0, "pcap", "pcapng", "gz"),
	}
	flags.register(cmd)
	return cmd
}

func (f *verifyFlags) register(cmd *cobra.Command) {
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&f.steps, "steps", "", "the procedure that the client sent, as a step `FILE`")
	set.StringVar(&f.data, "data", "", "the same as a built-in procedure: `NAME` is "+strings.Join(stepfile.BuiltinNames(), ", "))
	set.StringVar(&f.record, "record", "", "compare with the run's record in `FILE`; needs a single capture")
	set.StringVar(&f.config, "config", "", "judge by the agent's config `FILE`")
	set.StringVar(&f.keyLog, "keylog", "", "decrypt TLS with the secrets of `FILE`, a key log in NSS format, as the client wrote it")
	set.Func("port", "`PORT` of the agent (default: the side that sends replies is the agent)", f.setPort)
	set.BoolVar(&f.json, "json", false, "print one JSON object per capture instead of text")
	set.StringSliceVar(&f.shows, "shows", nil, "what the captures must show: `LIST` of success, failure, timeout, or none (default: from the file name)")
	set.Func("tolerance", fmt.Sprintf("`SECONDS` by which an interval may be longer than declared; at least a tenth of it is accepted (default %v)",
		f.tolerance.Seconds()), f.setTolerance)
	completeFlag(cmd, "data", stepfile.BuiltinNames())
	completeFlag(cmd, "shows", append(claimNames(), "none"))
}

func (f *verifyFlags) setPort(text string) error {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return errors.New("a port is a number from 1 to 65535")
	}
	f.port = uint16(port)
	return nil
}

func (f *verifyFlags) setTolerance(text string) (err error) {
	f.tolerance, err = config.ParseSeconds(text)
	return err
}

func claimNames() []string {
	var names []string
	for _, c := range verify.Claims() {
		names = append(names, string(c))
	}
	return names
}

// verify judges the captures in order. An unreadable capture does not stop the others.
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

// worse returns the exit code of two captures: first of an unreadable file, then of a fail, then of
// an inconclusive capture.
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
	progress := newReadProgress(path, stderr)
	c, broken := capture.ReadFile(ctx, path, capture.Options{Port: f.port, Wanted: opts.Wanted, Progress: progress.show})
	progress.done()
	if ctx.Err() != nil {
		return 0, &exitError{exitInconclusive, fmt.Errorf("interrupted while reading %s; it is not judged", nameOf(path))}
	}
	if broken != nil {
		_, _ = fmt.Fprintf(stderr, "stepctl: %v\n", broken) // the exit code reports it too
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
			_, _ = fmt.Fprintln(stdout) // the next write returns the error
		}
		err = r.Text(stdout, logging.Clean)
	}
	switch err := written(err); {
	case err != nil:
		return 0, err
	case broken != nil:
		return exitUsage, nil //nolint:nilerr // it has been reported
	case r.Verdict == result.Fail:
		return exitFailed, nil
	case r.Verdict == result.Inconclusive:
		return exitInconclusive, nil
	}
	return exitPassed, nil
}

// options returns how to judge the captures; done stops the validators.
func (f *verifyFlags) options(ctx context.Context, paths []string) (opts verify.Options, done func(), err error) {
	for _, name := range f.shows {
		if name != "none" && !slices.Contains(claimNames(), name) || name == "none" && len(f.shows) > 1 {
			return opts, nil, fmt.Errorf("--shows %s is none of %s, none", name, strings.Join(claimNames(), ", "))
		}
	}
	opts.Port, opts.Late = f.port, f.tolerance
	if opts.Procedure, err = f.procedure(); err != nil {
		return opts, nil, err
	}
	if f.record != "" {
		if len(paths) > 1 {
			return opts, nil, errors.New("--record is of one run; name one capture, or merge them with mergecap first")
		}
		log, err := record.ReadFile(f.record)
		if err != nil {
			return opts, nil, &exitError{exitUsage, err}
		}
		opts.Record = &log
	}
	if f.keyLog != "" {
		if opts.Keys, err = tlsrecord.ReadKeyLogFile(f.keyLog); err != nil {
			return opts, nil, &exitError{exitUsage, err}
		}
	}
	loaded, err := config.Load(config.Sources{File: f.config})
	if err != nil {
		return opts, nil, &exitError{exitUsage, err}
	}
	rules, err := agentrules.Load(ctx, loaded, version.Number())
	if err != nil {
		return opts, nil, &exitError{exitUsage, err}
	}
	opts.Judge, opts.Session, opts.MessageBytes = rules.Judge, rules.Session, rules.MessageBytes
	opts.Rules, opts.Simple = rules.Text, rules.Simple
	return opts, rules.Close, nil
}

func (f *verifyFlags) procedure() (*stepfile.Procedure, error) {
	switch {
	case f.steps != "" && f.data != "":
		return nil, errors.New("give --steps or --data, not both")
	case f.steps == "" && f.data == "":
		return nil, nil //nolint:nilnil // no procedure is claimed
	}
	p, err := loadProcedure(f.data, f.steps)
	return &p, err
}

// claims returns what a capture must show.
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
