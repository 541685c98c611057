// Package session keeps the agent's view of each run: which step belongs to which session, how
// many of its steps have been judged, and what was replied.
//
// A slot holds the sessions of one client, one after another: those of a session name, or those of
// a connection that names none. A slot judges one step at a time. The result is stored before the
// reply is sent, so that a step is judged once or not at all. With a store, open sessions and replies
// survive a restart of the agent (package sessionstore).
package session

import (
	"context"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Judge judges one step of a session. *judge.Judge is one.
type Judge interface {
	Judge(ctx context.Context, session judge.Session, step judge.Step) judge.Judgement
	// Try is Judge where it need not wait; false where it would have to.
	Try(session judge.Session, step judge.Step) (judge.Judgement, bool)
	// First is the step that must begin a session. It is called often.
	First() judge.Expectation
}

// Options are the rules of sessions. They can be changed while sessions are open.
type Options struct {
	// Steps is the number of steps after which a session ends. A session keeps the number
	// with which it began.
	Steps int
	// IdleTimeout closes a session that has had no step for this long, not counting the
	// declared interval. The replies of a session name are kept for as long after its session
	// has ended.
	IdleTimeout time.Duration
	// ResumeWindow is how long a session stays open when its connection has closed, counted
	// from the end of the declared interval if that is later.
	ResumeWindow time.Duration
	// LongestInterval bounds how much of a declared interval counts there, from the close on.
	LongestInterval time.Duration
	// TakeoverWait is the longest wait of a nameless connection's first step where its session
	// is uncertain: until an earlier connection is seen to be closed, or other clients of the
	// address have resumed theirs.
	TakeoverWait time.Duration
	// RememberedReplies is the number of replies kept for each session name, to answer a
	// repeated req.
	RememberedReplies int
	// RememberedBytes limits the replies of all names. Past it, names without a session are
	// evicted, and then the oldest replies of the name in use.
	RememberedBytes int
	// MaxOpen limits the open sessions, MaxOpenPerAddress those that one address began.
	MaxOpen           int
	MaxOpenPerAddress int
	// OwnerAddress makes a named session of a client without an identity belong to the client's
	// address. Otherwise it belongs to every such client that uses the name. A session that is open
	// when this changes goes on for the address that began it.
	OwnerAddress bool
	// Codes are the error codes of reasons.
	Codes protocol.Codes
	// Recorder records the end of each session; nil for none.
	Recorder Recorder
}

// MaxQuiet bounds the declared interval during which a session and its connection do not count as
// idle, so that no client can hold either forever.
const MaxQuiet = 24 * time.Hour

// A Recorder records events. It must not block.
type Recorder interface{ Record(auditlog.Event) }

// OptionsOf returns the options that a config gives.
func OptionsOf(c config.Config) Options {
	return Options{
		Steps:             c.Session.Steps,
		IdleTimeout:       c.Session.IdleTimeout,
		ResumeWindow:      c.Session.ResumeWindow,
		LongestInterval:   c.Session.LongestInterval,
		TakeoverWait:      c.Session.TakeoverWait,
		RememberedReplies: c.Session.RememberedReplies,
		RememberedBytes:   c.Limits.RememberedBytes,
		MaxOpen:           c.Limits.Sessions,
		MaxOpenPerAddress: c.Limits.SessionsPerAddress,
		OwnerAddress:      c.Session.Owner == "address",
		Codes:             protocol.Codes(c.ErrorCodes),
	}
}
