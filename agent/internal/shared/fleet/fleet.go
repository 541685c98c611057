// Package fleet names what the boards of a fleet have in NATS: the subjects of results and of control,
// and the stream of the results. It also has the replies to control requests.
//
// A fleet and a board are one word of a subject each: letters, digits, - and _. Subjects begin with the
// version of these names, so that a later version can live beside this one:
//
//	stepagent.1.FLEET.BOARD.step           results, and so on for the other kinds
//	stepagent.1.FLEET.ctl.all.status       a request to all boards
//	stepagent.1.FLEET.ctl.BOARD.status     a request to one board
//	stepagent.1.FLEET.ctl.BOARD.reload
//
// The stream keeps subjects of five words, so that no request of control is in it. Which board is
// called what does not matter: each reply names its board.
package fleet

import (
	"slices"
	"strings"
)

// prefix begins all subjects.
const prefix = "stepagent.1."

// A Kind is a kind of result: the last word of its subject.
type Kind string

// The kinds.
const (
	// Steps are what an agent has done with requests.
	Steps Kind = "step"
	// Sessions are the ends of sessions, and where they stopped and went on.
	Sessions Kind = "session"
	// Statuses are the other events of an agent's record.
	Statuses Kind = "status"
)

// Kinds returns all kinds.
func Kinds() []Kind { return []Kind{Steps, Sessions, Statuses} }

// Subject returns the subject of results of a board.
func Subject(fleet, board string, kind Kind) string {
	return prefix + fleet + "." + board + "." + string(kind)
}

// Parse returns what the subject of a result says. ok is false for any other subject.
func Parse(subject string) (fleet, board string, kind Kind, ok bool) {
	rest, ours := strings.CutPrefix(subject, prefix)
	words := strings.Split(rest, ".")
	if !ours || len(words) != 3 || slices.Contains(words, "") || !slices.Contains(Kinds(), Kind(words[2])) {
		return "", "", "", false
	}
	return words[0], words[1], Kind(words[2]), true
}

// Stream returns the name of the stream that keeps the results of a fleet.
func Stream(fleet string) string { return "STEPAGENT_" + fleet }

// Subjects returns the subjects of the stream: all kinds of results of all boards.
func Subjects(fleet string) []string {
	var subjects []string
	for _, kind := range Kinds() {
		subjects = append(subjects, Subject(fleet, "*", kind))
	}
	return subjects
}

// AllStatus returns the subject of a request that all boards answer with a StatusReply.
func AllStatus(fleet string) string { return control(fleet, "all", "status") }

// Status returns the subject of a request that one board answers with a StatusReply.
func Status(fleet, board string) string { return control(fleet, board, "status") }

// Reload returns the subject of a request that has one board reload its config, which answers with a
// ReloadReply when that is done or refused.
func Reload(fleet, board string) string { return control(fleet, board, "reload") }

func control(fleet, board, request string) string {
	return prefix + fleet + ".ctl." + board + "." + request
}
