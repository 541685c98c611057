package session

import (
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// maxFailures is how many of the last failures are kept.
const maxFailures = 64

// A Failure is a step that did not pass.
type Failure struct {
	Time    time.Time `json:"time"`
	Session string    `json:"session"`
	Client  string    `json:"client"`
	// Identity is that of the client's certificate; empty for none.
	Identity string `json:"identity,omitempty"`
	StepID   int64  `json:"step_id"`
	// Position is the step's place in the session, counted from 1.
	Position int `json:"position"`
	// Outcome is fail or undecided.
	Outcome string          `json:"outcome"`
	Reason  protocol.Reason `json:"reason"`
	Detail  string          `json:"detail,omitempty"`
	// Validator is the name of the one that gave the reason.
	Validator string `json:"validator,omitempty"`
}

// failures are the last ones. Whose they are is put into words when they are read.
type failures struct {
	mu    sync.Mutex // guards the fields below
	count uint64
	ring  [maxFailures]struct { // failure n is at n%maxFailures
		Failure
		from client
	}
}

func (f *failures) add(from *client, one Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := &f.ring[f.count%maxFailures]
	at.Failure, at.from = one, *from
	f.count++
}

// Failures returns the last steps that did not pass, without the first after ones, the latest last.
// Count is how many there have been.
func (m *Manager) Failures(after uint64) (last []Failure, count uint64) {
	f := &m.failures
	f.mu.Lock()
	defer f.mu.Unlock()
	from := after
	if f.count > maxFailures {
		from = max(from, f.count-maxFailures)
	}
	for n := from; n < f.count; n++ {
		at := &f.ring[n%maxFailures]
		one := at.Failure
		one.Client, one.Identity = at.from.String(), at.from.identity()
		last = append(last, one)
	}
	return last, f.count
}
