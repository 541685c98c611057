// Package manual writes what a package installs beside a command: its man pages and its
// completions, all taken from the command itself. No installed command links it; the build tag
// "manual" makes a generator of each (packaging/generate.sh).
package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// An Edition is the text in the head and foot of every page.
type Edition struct {
	Version string    // of the package, such as 1.2.3
	Date    time.Time // of the commit, so that a page is the same whenever it is written
}

// Main is the main function of a generator. It writes the manual of root into the folder that
// the command line names, for the edition that it names, and returns the exit code.
func Main(root *cobra.Command, args []string, more ...func(dir string, edition Edition) error) int {
	if err := write(root, args, more); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "manual of %s: %v\n", root.Name(), err)
		return 1
	}
	return 0
}

func write(root *cobra.Command, args []string, more []func(string, Edition) error) error {
	if len(args) != 3 {
		return fmt.Errorf("want the arguments DIR VERSION DATE, got %q", args)
	}
	date, err := time.Parse(time.RFC3339, args[2])
	if err != nil {
		return fmt.Errorf("the date of the edition: %w", err)
	}
	dir, edition := args[0], Edition{Version: args[1], Date: date.UTC()}
	if err := Write(root, dir, edition); err != nil {
		return err
	}
	for _, f := range more {
		if err := f(dir, edition); err != nil {
			return err
		}
	}
	return nil
}

// Write writes below dir a page for root and each command under it that is not hidden
// (man1/NAME-SUBCOMMAND.1), and the completions for bash, zsh and fish, each under the file
// name that its shell looks for. The same root and edition make the same bytes.
func Write(root *cobra.Command, dir string, edition Edition) error {
	root.InitDefaultCompletionCmd(root.Name()) // which cobra adds only when it runs the command
	root.DisableAutoGenTag = true
	pages, err := folder(dir, "man1")
	if err != nil {
		return err
	}
	header := doc.GenManHeader{
		Section: "1", Date: &edition.Date,
		Source: "stepagent " + edition.Version, Manual: "stepagent manual",
	}
	options := doc.GenManTreeOptions{Header: &header, Path: pages, CommandSeparator: "-"}
	if err := doc.GenManTreeFromOpts(root, options); err != nil {
		return err
	}
	return writeCompletions(root, dir)
}

func writeCompletions(root *cobra.Command, dir string) error {
	name := root.Name()
	for _, shell := range []struct {
		folder, file string
		write        func(file string) error
	}{
		{"bash", name, func(f string) error { return root.GenBashCompletionFileV2(f, true) }},
		{"zsh", "_" + name, root.GenZshCompletionFile},
		{"fish", name + ".fish", func(f string) error { return root.GenFishCompletionFile(f, true) }},
	} {
		in, err := folder(dir, "completions", shell.folder)
		if err != nil {
			return err
		}
		if err := shell.write(filepath.Join(in, shell.file)); err != nil {
			return fmt.Errorf("completion for %s: %w", shell.folder, err)
		}
	}
	return nil
}

// folder makes dir/elements... and returns its path.
func folder(dir string, elements ...string) (string, error) {
	path := filepath.Join(append([]string{dir}, elements...)...)
	return path, os.MkdirAll(path, 0o755)
}
