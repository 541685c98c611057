// Command transcript runs the commands of a Markdown page on real hosts and compares their output with
// the page.
//
//	go run ./packaging/tools/transcript [-update] -host NAME='SHELL COMMAND' ... PAGE.md ...
//
// Fenced blocks of the language "console" are transcripts: the host's shell runs a line NAME$ COMMAND
// or NAME# COMMAND, and the lines after it are the output. A line "..." matches any number of
// lines. Values that vary between runs (durations, dates, process IDs, hashes) match any value of
// their kind. Every command must exit with 0.
//
// Each host has one shell for all pages. Its command must read shell commands from standard input:
// bash, or a program that enters a container or a namespace and then runs bash. With -update,
// output that differs is written into the pages.
//
// Exit status: 0 if all output matches or was updated, 1 if some differs or a command failed, 2 for a
// wrong command line or page.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, errs io.Writer) int {
	flags := flag.NewFlagSet("transcript", flag.ContinueOnError)
	flags.SetOutput(errs)
	hosts := map[string]string{}
	update := flags.Bool("update", false, "write the output into the pages")
	limit := flags.Duration("limit", 2*time.Minute, "the time limit of a command")
	flags.Func("host", "NAME=COMMAND: the shell of a host; repeat it for each", func(value string) error {
		name, command, ok := strings.Cut(value, "=")
		if !ok || name == "" || command == "" {
			return fmt.Errorf("want NAME=COMMAND, got %q", value)
		}
		hosts[name] = command
		return nil
	})
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		if err == nil {
			_, _ = fmt.Fprintln(errs, "transcript: name at least one page")
		}
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := runner{shells: map[string]*shell{}, commands: hosts, limit: *limit, out: out}
	defer p.close()
	code := 0
	for _, path := range flags.Args() {
		page, err := readPage(path)
		if err != nil {
			_, _ = fmt.Fprintln(errs, "transcript:", err)
			return 2
		}
		ok, err := p.runPage(ctx, page, *update)
		if err != nil {
			_, _ = fmt.Fprintln(errs, "transcript:", err)
			return 1
		}
		if !ok {
			code = 1
		}
		if *update {
			if err := page.write(); err != nil {
				_, _ = fmt.Fprintln(errs, "transcript:", err)
				return 1
			}
		}
	}
	return code
}
