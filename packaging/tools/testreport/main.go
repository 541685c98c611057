// Command testreport writes docs/test-report.md and its Korean twin from the captures and
// records in pcap/:
//
//	go build -o bin/ ./agent/cmd/stepctl
//	go run ./packaging/tools/testreport -stepctl bin/stepctl
//
// Everything in the pages but their prose comes from "stepctl verify --json", which judges the
// packets again, so a page says nothing that the captures do not show. It refuses to write when
// a capture does not support what it claims.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, errs io.Writer) int {
	flags := flag.NewFlagSet("testreport", flag.ContinueOnError)
	flags.SetOutput(errs)
	stepctl := flags.String("stepctl", "stepctl", "the stepctl that judges the captures")
	captures := flags.String("pcap", "pcap", "the folder of the captures")
	out := flags.String("out", "docs", "the folder of the pages")
	if err := flags.Parse(args); err != nil || flags.NArg() > 0 {
		return 2
	}
	if err := write(*stepctl, *captures, *out); err != nil {
		_, _ = fmt.Fprintln(errs, "testreport:", err)
		return 1
	}
	return 0
}

func write(stepctl, captures, out string) error {
	evidence, err := collect(stepctl, captures)
	if err != nil {
		return err
	}
	for page, template := range pages {
		text, err := render(template, evidence)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, page), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
