// Command copyright writes the copyright file of a package: the modules that are linked into a
// command, with their copyright holders and licences, in Debian's machine-readable format
// (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/).
//
// "go list" names the linked packages for each target; the licences are files of the modules. An
// unknown licence is an error, so that it is read before a release.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "copyright:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("copyright", flag.ContinueOnError)
	targets := flags.String("targets", "linux/amd64", "the `LIST` of GOOS/GOARCH that the command is built for, with commas")
	tags := flags.String("tags", "", "the build `TAGS`")
	common := flags.Bool("common-licenses", false, "refer to /usr/share/common-licenses for the texts that Debian has there")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("want one package, such as ./agent/cmd/stepagent, got %q", flags.Args())
	}
	modules, err := linked(flags.Arg(0), *tags, strings.Split(*targets, ","))
	if err != nil {
		return err
	}
	works := make([]work, 0, len(modules))
	for _, m := range modules {
		w, err := m.work()
		if err != nil {
			return err
		}
		works = append(works, w)
	}
	return write(stdout, works, *common)
}
