// Package trail is the format of the agent's own record: what it did with each step, as JSON
// lines, in files of which each describes itself.
//
// The agent writes them and the client's reports read them, so this package belongs to
// neither side. It opens no file for writing and reads no clock. The format grows by members
// and by kinds of events: readers pass over what they do not know.
package auditlog

import (
	"encoding/json"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// Format is the version of the record that this package writes and reads.
const Format = 1

// A Kind says what happened.
type Kind string

// The kinds of events.
const (
	// KindOpen is the first event of every file. It has Open.
	KindOpen Kind = "open"
	// KindStep: the agent has dealt with a request. It has Step; Time is when the request
	// had arrived.
	KindStep Kind = "step"
	// KindSession: a session has ended. It has Session.
	KindSession Kind = "session"
	// KindDropped: events are missing here. It has Dropped.
	KindDropped Kind = "dropped"
)

// An Event is one line. Of the members after Time it has the one that its kind says.
type Event struct {
	Kind Kind `json:"event"`
	// Time is the agent's wall clock.
	Time    time.Time `json:"time"`
	Open    *Open     `json:"open,omitempty"`
	Step    *Step     `json:"step,omitempty"`
	Session *Session  `json:"session,omitempty"`
	Dropped *Dropped  `json:"dropped,omitempty"`
}

// An Open says who writes the file.
type Open struct {
	// Format is the version of the record, 1.
	Format int `json:"format"`
	// Agent is the agent's version; Host the name of its machine, Address where it listens.
	Agent   string `json:"agent"`
	Host    string `json:"host"`
	Address string `json:"address"`
	// Started tells one life of the agent from another.
	Started time.Time `json:"started"`
}

// A Step is what the agent did with one request. Its times are measured on the monotonic
// clock.
type Step struct {
	// Session is the session as the agent's log names it; Client the other end's address.
	Session string `json:"session"`
	Client  string `json:"client"`
	// Req is the request's own name as it was sent, as JSON; empty when it had none.
	Req    json.RawMessage `json:"req,omitempty"`
	StepID int64           `json:"step_id"`
	// Position is how many steps of the session had been judged with this one.
	Position int `json:"position"`
	// ErrorCode, Reason and Detail are those of the verdict, also where a fault spoilt the
	// reply.
	ErrorCode int    `json:"error_code"`
	Reason    string `json:"reason,omitempty"`
	Detail    string `json:"detail,omitempty"`
	// Replayed says that the request had been judged before and was answered from memory.
	Replayed bool `json:"replayed,omitempty"`
	// Fault names what was put in on purpose; empty for nothing.
	Fault string `json:"fault,omitempty"`
	// Generation is the number of the validators that judged.
	Generation uint64 `json:"generation,omitempty"`

	// Turn is how long the request waited until it was its turn in the session.
	Turn jsonl.Seconds `json:"turn"`
	// Groups are the validators that were asked, at the same time, with how long each took.
	Groups []Group `json:"groups,omitempty"`
	// Judged is the time from the arrival to the verdict.
	Judged jsonl.Seconds `json:"judged"`
	// Replied is the time from the arrival until the reply was written; absent when none was.
	Replied *jsonl.Seconds `json:"replied,omitempty"`
}

// A Group is neighbouring validators of one plugin, which answer together.
type Group struct {
	Validators []string `json:"validators"`
	// Queue is how long the step waited to be sent to the plugin's process, Took how long the
	// answer took in all, the queue included.
	Queue jsonl.Seconds `json:"queue"`
	Took  jsonl.Seconds `json:"took"`
	// Kept says that the plugin was not asked: the agent had these verdicts from an earlier step.
	Kept bool `json:"kept,omitempty"`
}

// A Session is a session that has ended.
type Session struct {
	Session string `json:"session"`
	Client  string `json:"client"`
	// Verdict is pass, fail or incomplete; Cause why it is incomplete.
	Verdict   string        `json:"verdict"`
	Cause     string        `json:"cause,omitempty"`
	Steps     int           `json:"steps"`
	Of        int           `json:"of"`
	Passed    int           `json:"passed"`
	Failed    int           `json:"failed"`
	Undecided int           `json:"undecided"`
	Duration  jsonl.Seconds `json:"duration"`
}

// A Dropped says that events are missing, and why.
type Dropped struct {
	Count uint64 `json:"count"`
	Cause string `json:"cause"`
}

// AppendLine appends the event as one line with its newline.
func AppendLine(dst []byte, e Event) ([]byte, error) {
	line, err := json.Marshal(e)
	if err != nil {
		return dst, err
	}
	return append(append(dst, line...), '\n'), nil
}
