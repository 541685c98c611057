// Command modproxy writes the module at a commit into a folder that the go command can use as a
// module proxy (https://go.dev/ref/mod#goproxy-protocol). It makes the archive as the module
// tools do from a tag, and refuses what they would refuse.
//
//	go run ./packaging/tools/modproxy -version v1.2.3 DIR
//	GOPROXY=file://DIR,... go install github.com/stepagent/stepagent/agent/cmd/stepctl@v1.2.3
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "modproxy:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("modproxy", flag.ContinueOnError)
	repository := flags.String("repository", ".", "the `FOLDER` of the repository")
	revision := flags.String("revision", "HEAD", "the commit, branch or tag to publish")
	version := flags.String("version", "", "the `VERSION` to publish it as, such as v1.2.3")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version == "" || flags.NArg() != 1 {
		return fmt.Errorf("want -version and one folder, got %q", args)
	}
	from, err := atRevision(*repository, *revision)
	if err != nil {
		return err
	}
	p, err := publish(from, *version, flags.Arg(0), time.Now())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s %s: %d files, %d KiB\n", p.module.Path, p.module.Version, p.files, (p.size+1023)/1024)
	return err
}
