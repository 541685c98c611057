// Package cli holds what stepagent and stepctl share as command line programs: the root command,
// the exit codes, usage errors and the voice in which both speak to people.
//
// # The voice
//
//   - An error says what failed, its cause and what to do: "PROGRAM: WHAT: CAUSE; WHAT TO DO".
//     It begins in lower case, unless with a name such as TOML, and has no full stop. A usage error
//     adds where the help is. Several errors stand one a line, indented below the program's name.
//   - A log line is written like an error: what happened, in lower case, with no full stop. Values
//     go into attributes.
//   - The help of a command is one imperative line of at most 80 characters, in lower case and with
//     no full stop. Its long help begins with the command's name and consists of whole sentences.
//   - A flag is described by a noun with its unit and its default; its value has a name in upper
//     case.
//   - Every text names the actor and the object: never nobody, somebody or whoever. No exclamation
//     marks, no "please", no "Error:".
//
// Package voicetest holds the commands of both programs to it, TestVoice in package agent the
// errors and log lines in the source of the module.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// WriteError writes to w why the command failed. An error from the command line, such as a
// UsageError, adds where the help is.
func WriteError(w io.Writer, cmd *cobra.Command, err error, usage bool) {
	text := " " + err.Error()
	if strings.Contains(text, "\n") {
		text = "\n  " + strings.ReplaceAll(err.Error(), "\n", "\n  ")
	}
	if usage && !strings.HasSuffix(text, "--help") {
		text += fmt.Sprintf("\nsee: %s --help", cmd.CommandPath())
	}
	_, _ = fmt.Fprintf(w, "%s:%s\n", cmd.Root().Name(), text) // where else could it be said
}

// IsUsage reports whether err is a mistake on the command line.
func IsUsage(err error) bool { return errors.As(err, new(UsageError)) }
