// Command changelog writes the changelog of a Debian package (deb-changelog(5)). It reads
// CHANGELOG.md from standard input.
//
// A release needs a section of its own there; a snapshot has the entries under "Unreleased".
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
	snapshot := flags.Bool("snapshot", false, "the release is a snapshot, with the entries under Unreleased")
	date := flags.String("date", "", "the `TIME` of the commit, in RFC 3339")
	maintainer := flags.String("maintainer", "", "the maintainer, as `NAME <ADDRESS>`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, *date)
	if err != nil {
		return fmt.Errorf("-date: %w", err)
	}
	if *version == "" || *maintainer == "" {
		return fmt.Errorf("-version and -maintainer are required")
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

// choose returns the sections of the version's changelog, newest first. The first has the version
// and time of the release.
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
	return nil, fmt.Errorf("CHANGELOG.md has no section %q; add it", wanted)
}

// debian returns a version in Debian's form: a pre-release sorts before its release, and -1 is the
// revision of the packaging.
func debian(version string) string { return strings.Replace(version, "-", "~", 1) + "-1" }
