// Command transcript performs the commands of a Markdown page on real hosts and compares what
// they print with what the page shows, so that the pages stay true.
//
//	go run ./packaging/tools/transcript [-update] -host NAME='SHELL COMMAND' ... PAGE.md ...
//
// A page's fenced blocks of the language "console" are transcripts: a line NAME$ COMMAND or
// NAME# COMMAND is performed by the host's shell, the lines after it are what it prints. A line
// "..." stands for any number of lines. Figures that differ from run to run (durations, dates,
// process numbers, hashes) match any other of their kind. Every command must exit with 0.
//
// Each host has one shell for all pages, started by the given command, which reads commands from
// its standard input: bash itself, or one that enters a container or a namespace first. With
// -update the pages are rewritten with what was printed where it differs.
//
// Exit status: 0 when everything matches or was updated, 1 when something differs or failed, 2
// on a wrong command line or page.
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
	update := flags.Bool("update", false, "rewrite the pages with what was printed")
	limit := flags.Duration("limit", 2*time.Minute, "how long one command may take")
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
	p := performer{shells: map[string]*shell{}, commands: hosts, limit: *limit, out: out}
	defer p.close()
	code := 0
	for _, path := range flags.Args() {
		page, err := readPage(path)
		if err != nil {
			_, _ = fmt.Fprintln(errs, "transcript:", err)
			return 2
		}
		ok, err := p.perform(ctx, page, *update)
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
