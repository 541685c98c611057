package sessionstore

import (
	"net/netip"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Record is a slot of package session after a committed step: all of it but older replies.
type Record struct {
	// Key is the session's id. That of a session name is always the same, that of a nameless session
	// is unique, such as "192.0.2.7:40000#12".
	Key string
	// Name is the session name; empty for a nameless session.
	Name string
	// Client began the session.
	Client Client
	// Ended says that the session has ended. Then Key, Name, Client, Replied and the replies are of
	// use, and nothing else.
	Ended bool
	// Steps is the number of steps after which the session ends, Position how many were judged.
	Steps, Position int
	// Memory is the state of the validators, in the judge's order.
	Memory []State
	// Expects is the expectation of the next step.
	Expects Expectation
	// Began is when the session began, Latest how long after that its last step arrived, and Replied
	// when it was answered.
	Began   time.Time
	Latest  time.Duration
	Replied time.Time
	// Interval and Req are those of the last step.
	Interval time.Duration
	Req      protocol.ReqID
	// GapFrom, GapTo and GapHeld are the gap clock since the last step; both times may be zero.
	GapFrom, GapTo time.Time
	GapHeld        bool
	// Passed, Failed and Undecided count the session's steps.
	Passed, Failed, Undecided int
	// Recent has a bit for each of the last steps, set for one that failed, the latest lowest.
	Recent uint64
	// Faulted says that a validator has asked for a fault.
	Faulted bool
	// Generations are those of the validators that judged the session.
	Generations []uint64
	// Reply is the reply to the last step; nil where it is not kept for a repeated req.
	Reply *protocol.Reply
	// Unnamed is how many nameless sessions have begun so far, with the commit of one of them.
	Unnamed uint64
}

// A Client is a client as sessions keep it.
type Client struct {
	// Addr is its address; not valid for a unix socket.
	Addr netip.AddrPort
	// Name is its text for logs where Addr is not valid, and Identity that of its certificate; both
	// may be empty.
	Name, Identity string
}

// A State is what a validator remembers of a session.
type State struct {
	Validator string
	State     []byte
}

// An Expectation is the id of the step that must come next, if that is known.
type Expectation struct {
	StepID int64
	Known  bool
}

// A Revision numbers what is stored under a key. It changes with each commit; 0 means that nothing is
// stored. Revisions are of one opened store and are not stored themselves; those of a Shared are of all
// agents.
type Revision uint64

// A Restored is a record as it was found when the store was opened, or by Shared.Load. Its times are in this process's
// clock, as far as Times says.
type Restored struct {
	Record
	// Replies are the replies that are remembered, the oldest first; the last one is Reply, if there
	// is one.
	Replies []protocol.Reply
	// Revision is what the next commit replaces.
	Revision Revision
	Times    Times
}

// Times says how far the times of a Restored can be trusted.
type Times uint8

// The values of Times.
const (
	// TimesExact are of the same boot, and exact. They do not count a suspend, like Go's timers.
	TimesExact Times = iota
	// TimesByWall are of another boot. Their distance to now is by the wall clock, which was
	// synchronized both when they were stored and when they were read.
	TimesByWall
	// TimesUnknown keep their distance to each other, but Replied is set to when they were read.
	TimesUnknown
)
