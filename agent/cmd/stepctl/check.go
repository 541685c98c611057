package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

func newCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "check a step file without running it",
		Long: `check reads a step file and reports all problems with file, line, column and step. The same
problem in several steps is reported once, at the first of them. Nothing is sent.

An error means that the file cannot be run. A warning means that an agent with its default settings
will refuse the step: step ids outside 1..10, duplicate or out of order, timeouts below 5 s, more or
fewer than ten steps, messages above 4096 bytes, and unknown keys. A file with warnings can be run,
to test an agent.

Exit codes:
  0  the file can be run
  2  the file cannot be run, or the command line is wrong`,
		Example: `  stepctl check steps.json`,
		Args:    oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return check(cmd.OutOrStdout(), args[0])
		},
		ValidArgsFunction: completeFiles(1, "json"),
	}
}

// check writes the findings of the step file at path, and a summary.
func check(stdout io.Writer, path string) error {
	procedure, findings, err := stepfile.Check(path)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	findings = append(findings, tooLong(procedure)...)
	slices.SortStableFunc(findings, stepfile.Finding.Compare)
	warnings, sound := 0, true
	for _, finding := range findings {
		if finding.Warning {
			warnings += 1 + finding.More
		}
		sound = sound && finding.Warning
		if _, err := fmt.Fprintf(stdout, "%s:%s\n", path, finding); err != nil {
			return written(err)
		}
	}
	if !sound {
		return &exitError{code: exitUsage}
	}
	_, err = fmt.Fprintf(stdout, "%s: sound, %s, %s\n", path,
		phrase.Count(len(procedure.Steps), "step"), phrase.Count(warnings, "warning"))
	return written(err)
}

// tooLong returns one warning for all steps whose message is longer than the agent's default limit.
func tooLong(procedure stepfile.Procedure) (findings []stepfile.Finding) {
	for i, step := range procedure.Steps {
		switch n := runner.RequestBytes(step); {
		case n <= protocol.DefaultMaxMessageBytes:
		case len(findings) > 0:
			findings[0].Repeat(i + 1)
		default:
			findings = append(findings, stepfile.Finding{Line: step.Line, Column: step.Column, Step: i + 1, Key: "data", Warning: true,
				Message: fmt.Sprintf("the message has %d bytes; an agent reads %d unless its limits.message_bytes is higher",
					n, protocol.DefaultMaxMessageBytes)})
		}
	}
	return findings
}

// oneFile takes exactly one argument.
func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("name one file, got %d arguments", len(args))
	}
	return nil
}
