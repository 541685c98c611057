// Package voicetest checks texts for people against the voice of the programs, which the
// documentation of package cli states.
package voicetest

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// banned matches words that name no actor or no number, and those of shouting programs.
var banned = regexp.MustCompile(`(?i)\b(nobody|somebody|whoever|please|sorry|in the place of|so many)\b|^error:|!( |$)`)

// Words returns the first word or mark in text that the voice has no use for; empty for none.
func Words(text string) string { return banned.FindString(text) }

// sentenceCase matches a text whose first word is in upper case and no abbreviation.
var sentenceCase = regexp.MustCompile(`^[A-Z][a-z']*([ ,;:.]|$)`)

// names matches texts that begin with a name: a call of the plugin contract.
var names = regexp.MustCompile(`^Describe:`)

// Line returns what is wrong with an error, a log line or a line of help; empty for nothing.
func Line(text string) string {
	switch trimmed := strings.TrimRightFunc(text, unicode.IsSpace); {
	case Words(text) != "":
		return "has " + Words(text)
	case sentenceCase.MatchString(text) && !names.MatchString(text):
		return "begins in upper case"
	case strings.HasSuffix(trimmed, ".") && !strings.HasSuffix(trimmed, "..."):
		return "ends with a full stop"
	}
	return ""
}

// maxShort is the length of the longest line of help of a command, in bytes.
const maxShort = 80

// Commands holds the help of a command, and of all below it, to the voice.
func Commands(t *testing.T, cmd *cobra.Command) {
	t.Helper()
	check := func(where, text, wrong string) {
		if wrong != "" {
			t.Errorf("%s: %q %s", where, text, wrong)
		}
	}
	path := cmd.CommandPath()
	check(path, cmd.Short, Line(cmd.Short))
	if n := len(cmd.Short); n == 0 || n > maxShort || strings.Contains(cmd.Short, "\n") {
		t.Errorf("%s: the short help %q is not one line of 1 to %d bytes", path, cmd.Short, maxShort)
	}
	library := regexp.MustCompile(`^\w+ (completion|help)\b`).MatchString(path)
	if cmd.Long != "" && !library {
		check(path, cmd.Long, Words(cmd.Long))
		if !strings.HasPrefix(cmd.Long, cmd.Name()+" ") {
			t.Errorf("%s: the long help does not begin with the command's name: %.40q", path, cmd.Long)
		}
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		where := path + " --" + flag.Name
		name, usage := pflag.UnquoteUsage(flag)
		check(where, usage, Line(usage))
		if usage == "" || strings.HasPrefix(usage, name+":") || !library && name != strings.ToUpper(name) && !strings.Contains(name, "|") {
			t.Errorf("%s: %q does not describe a value %s in upper case", where, usage, name)
		}
	})
	for _, sub := range cmd.Commands() {
		Commands(t, sub)
	}
}
