package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Place is where a value of the config is set. The zero value is that of a default.
type Place struct {
	// File is the absolute path of the config file, or "standard input".
	File string
	// Line and Column count from 1; Column counts characters. They are 0 if unknown.
	Line, Column int
	// Source is the environment variable, such as STEPAGENT_PORT, or the flag, such as --port; empty
	// for a file.
	Source string
}

// String returns "file:line:column" or the source.
func (p Place) String() string {
	switch {
	case p.Source != "":
		return p.Source
	case p.Line == 0:
		return logging.Clean(p.File)
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", logging.Clean(p.File), p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", logging.Clean(p.File), p.Line, p.Column)
	}
}

// A Problem is one error in a config.
type Problem struct {
	Place
	// Key is the path of the key, such as "session.steps" or "validators[1].settings.seconds"; empty
	// for the whole file.
	Key string
	// Message says what is wrong and what to do, in lower case and without a full stop.
	Message string
}

// Error returns the problem in one line of printable characters: key and message may come from a
// validator.
func (p Problem) Error() string {
	var parts []string
	if p.Place != (Place{}) {
		parts = append(parts, p.Place.String())
	}
	if p.Key != "" && p.Source == "" {
		parts = append(parts, logging.Clean(p.Key))
	}
	return strings.Join(append(parts, logging.Clean(p.Message)), ": ")
}

// Problems are the problems of a config: those of files, in the order of the files, then those of
// environment variables and flags.
type Problems []Problem

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		lines = append(lines, p.Error())
	}
	return strings.Join(lines, "\n")
}

// maxProblems is the number of problems that are reported at once.
const maxProblems = 100

// first returns the first n problems, and a last one with the number of the rest.
func (ps Problems) first(n int) Problems {
	if len(ps) <= n {
		return ps
	}
	more := Problem{Message: fmt.Sprintf("and %d more problems", len(ps)-n)}
	return append(ps[:n:n], more)
}

// FromFlags reports whether all problems come from flags.
func (ps Problems) FromFlags() bool {
	return !slices.ContainsFunc(ps, func(p Problem) bool { return !strings.HasPrefix(p.Source, "--") })
}

// about reports whether a problem concerns the key or a table around it.
func (ps Problems) about(key string) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool {
		rest, ok := strings.CutPrefix(key, p.Key)
		return ok && p.Key != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
	})
}

// sort orders the problems. files are in the order in which they are merged; files that could not be
// read come first.
func (ps Problems) sort(files []string) {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.rank(), b.rank()),
			cmp.Compare(slices.Index(files, a.File), slices.Index(files, b.File)),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Source, b.Source),
			strings.Compare(a.Key, b.Key),
		)
	})
}

// rank orders the kinds of places.
func (p Place) rank() int {
	switch {
	case p.File != "":
		return 0
	case strings.HasPrefix(p.Source, "--"):
		return 2
	case p.Source != "":
		return 1
	default:
		return 3
	}
}
