// Command changelog writes the changelog of a Debian package (deb-changelog(5)) from
// CHANGELOG.md, which it reads from its standard input.
//
// A release must have a section of its own there; a snapshot takes what is unreleased.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "changelog:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("changelog", flag.ContinueOnError)
	name := flags.String("package", "stepagent", "the `NAME` of the package")
	version := flags.String("version", "", "the `VERSION` of the release, such as 1.2.3")
	snapshot := flags.Bool("snapshot", false, "the release is a snapshot, of what is unreleased")
	date := flags.String("date", "", "the `TIME` of the commit, as RFC 3339 has it")
	maintainer := flags.String("maintainer", "", "`WHO` maintains the package, with a mail address")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, *date)
	if err != nil {
		return fmt.Errorf("-date: %w", err)
	}
	if *version == "" || *maintainer == "" {
		return fmt.Errorf("-version and -maintainer are needed")
	}
	sections, err := parse(stdin)
	if err != nil {
		return err
	}
	sections, err = choose(sections, *version, at, *snapshot)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	for _, s := range sections {
		s.write(out, *name, *maintainer)
	}
	return out.Flush()
}

// choose returns the sections that the version's changelog has, the newest first and with
// the version and time of the release.
func choose(sections []section, version string, at time.Time, snapshot bool) ([]section, error) {
	wanted := version
	if snapshot {
		wanted = unreleased
	}
	for n, s := range sections {
		if s.version == wanted {
			chosen := append([]section{}, sections[n:]...)
			chosen[0].version, chosen[0].date = version, at
			return chosen, nil
		}
	}
	return nil, fmt.Errorf("CHANGELOG.md has no section %q: give it one, in the way of the others", wanted)
}

// debian is a version as it stands in a package: what precedes a release sorts before it,
// and -1 is the packaging of it.
func debian(version string) string { return strings.Replace(version, "-", "~", 1) + "-1" }
