// Package auditlog is the format of the agent's own record: what it did with each request, as JSON
// lines. Each file describes itself.
//
// The agent writes the files and the client's reports read them. This package only reads, and
// does not use the clock. The format grows by members and by kinds of events: readers ignore
// those that they do not know.
package auditlog

import (
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// Format is the version of the record that this package writes and reads.
const Format = 1

// A Kind says what happened.
type Kind string

// The kinds of events.
const (
	// KindOpen is the first event of every file. It has Open.
	KindOpen Kind = "open"
	// KindStep: the agent has answered a request. It has Step; Time is when the request arrived.
	KindStep Kind = "step"
	// KindSession: a session has ended. It has Session.
	KindSession Kind = "session"
	// KindSuspended: the agent stops and will go on with the session when it is back. It has Session,
	// without a verdict.
	KindSuspended Kind = "suspended"
	// KindResumed: the agent is back with a session of an earlier process. It has Session, without a
	// verdict.
	KindResumed Kind = "resumed"
	// KindDropped: events are missing here. It has Dropped.
	KindDropped Kind = "dropped"
)

// An Event is one line. Of the members after Time it has the one that its kind names.
type Event struct {
	Kind Kind `json:"event"`
	// Time is the agent's wall clock.
	Time    time.Time `json:"time"`
	Open    *Open     `json:"open,omitzero"`
	Step    *Step     `json:"step,omitzero"`
	Session *Session  `json:"session,omitzero"`
	Dropped *Dropped  `json:"dropped,omitzero"`
}

// An Open describes the agent that writes the file.
type Open struct {
	// Format is the version of the record, 1.
	Format int `json:"format"`
	// Agent is the agent's version, Host the name of its machine, Address where it listens.
	Agent   string `json:"agent"`
	Host    string `json:"host"`
	Address string `json:"address"`
	// Started is when the agent started. It distinguishes agent processes.
	Started time.Time `json:"started"`
}

// A Step is what the agent did with one request. Its durations are measured on the monotonic
// clock.
type Step struct {
	// Session is the session's id as in the agent's log (see SessionName), Client the client's address.
	Session string `json:"session"`
	Client  string `json:"client"`
	// Identity is that of the client's certificate; empty for none.
	Identity string `json:"identity,omitzero"`
	// Req is the request's req; the zero value when it had none.
	Req    protocol.ReqID `json:"req,omitzero"`
	StepID int64          `json:"step_id"`
	// Position is the number of judged steps of the session, this one included.
	Position int `json:"position"`
	// ErrorCode, Reason and Detail are those of the verdict, even if a fault changed the reply.
	ErrorCode int    `json:"error_code"`
	Reason    string `json:"reason,omitzero"`
	Detail    string `json:"detail,omitzero"`
	// Replayed says that the replay cache answered the request.
	Replayed bool `json:"replayed,omitzero"`
	// Fault names the injected fault; empty for none.
	Fault string `json:"fault,omitzero"`
	// Generation is the number of the validator chain that judged.
	Generation uint64 `json:"generation,omitzero"`

	// Turn is how long the request waited for its turn in the session.
	Turn jsonl.Seconds `json:"turn"`
	// Groups are the groups of validators, which judged at the same time.
	Groups []Group `json:"groups,omitempty"`
	// Judged is the time from the arrival to the verdict.
	Judged jsonl.Seconds `json:"judged"`
	// Replied is the time from the arrival until the reply was written; nil when none was.
	Replied *jsonl.Seconds `json:"replied,omitzero"`
}

// A Group is neighbouring validators of one plugin, which answer together.
type Group struct {
	Validators []string `json:"validators"`
	// Queue is how long the step waited to be sent to the plugin's process. Took is the time
	// until the verdicts came, including Queue.
	Queue jsonl.Seconds `json:"queue"`
	Took  jsonl.Seconds `json:"took"`
	// Kept says that the verdicts came from the verdict cache.
	Kept bool `json:"kept,omitzero"`
}

// A Session is a session that has ended, or as it was when the agent stopped or was back.
type Session struct {
	Session  string `json:"session"`
	Client   string `json:"client"`
	Identity string `json:"identity,omitzero"`
	// Verdict is pass, fail or incomplete, empty for a session that goes on; Cause says why it is
	// incomplete.
	Verdict   string        `json:"verdict,omitzero"`
	Cause     string        `json:"cause,omitzero"`
	Steps     int           `json:"steps"`
	Of        int           `json:"of"`
	Passed    int           `json:"passed"`
	Failed    int           `json:"failed"`
	Undecided int           `json:"undecided"`
	Duration  jsonl.Seconds `json:"duration"`
}

// A Dropped event says how many events are missing, and why.
type Dropped struct {
	Count uint64 `json:"count"`
	Cause string `json:"cause"`
}

// AppendLine appends the event as one line with its newline. Invalid UTF-8 is replaced by U+FFFD.
func AppendLine(dst []byte, e Event) ([]byte, error) {
	line, err := json.Marshal(e, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return dst, err
	}
	return append(append(dst, line...), '\n'), nil
}
