package session

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// recentSteps is how many outcomes a session keeps for observers.
const recentSteps = 64

// A State is what becomes of a session.
type State string

// The states. Those but Open are verdicts.
const (
	Open       State = "open"
	Passed     State = "pass"
	Failed     State = "fail"
	Incomplete State = "incomplete"
)

// A Party is whom a session waits for.
type Party string

// The parties.
const (
	WaitsForClient    Party = "client"
	WaitsForValidator Party = "validator"
)

// A View is a session as observers see it.
type View struct {
	ID     string `json:"id"`
	Client string `json:"client"`
	// Identity is that of the certificate of the client that began the session; empty for none.
	Identity string    `json:"identity,omitempty"`
	Began    time.Time `json:"began"`
	// Position is how many of the Steps have been judged.
	Position int `json:"position"`
	Steps    int `json:"steps"`
	// Outcomes has a letter for each of the last judged steps, at most 64, the latest last: p for one
	// that passed, f for one that did not.
	Outcomes string `json:"outcomes"`
	// Undecided is how many steps could not be judged. They took no position.
	Undecided int   `json:"undecided"`
	State     State `json:"state"`
	// Cause is why the session ended before its last step; empty if it did not.
	Cause string `json:"cause,omitempty"`
	// WaitsFor is whom an open session waits for. Due is when the client's next step is expected.
	WaitsFor Party     `json:"waits_for,omitempty"`
	Due      time.Time `json:"due,omitzero"`
	// Expects is the step that must come next; nil where no validator says which, and for a session that
	// has ended.
	Expects *int64 `json:"expects,omitempty"`
	// Idle is how long ago the last step was answered.
	Idle jsonl.Seconds `json:"idle_seconds"`
	// Restored says that the session was brought back when the agent started.
	Restored bool `json:"restored"`
}

// view returns a session as observers see it at a time. The caller holds Manager.mu.
func (s *session) view(now time.Time, state State, cause string) View {
	recent := min(s.position, recentSteps)
	var outcomes strings.Builder
	for i := recent - 1; i >= 0; i-- {
		letter := byte('p')
		if s.recent>>i&1 != 0 {
			letter = 'f'
		}
		outcomes.WriteByte(letter)
	}
	return View{
		ID: s.id, Client: s.client.String(), Identity: s.client.identity(), Began: asOf(now, s.began),
		Position: s.position, Steps: s.steps, Outcomes: outcomes.String(),
		Undecided: s.tally.undecided, State: state, Cause: cause,
		Idle:     jsonl.Seconds(max(now.Sub(s.replied), 0).Round(time.Millisecond)),
		Restored: !s.restored.IsZero(),
	}
}

// asOf returns a time by the clock as it is now, if that has been set in between: a board without a
// clock of its own starts in 1970. A clock that is only slewed does not change the time.
func asOf(now, then time.Time) time.Time {
	set := now.Round(0).Sub(then.Round(0)) - now.Sub(then) // without and with the monotonic clock
	if set.Abs() < time.Second {
		return then
	}
	return then.Add(set)
}

// view returns the open session of the slot. The caller holds Manager.mu.
func (s *slot) view(now time.Time) View {
	v := s.session.view(now, Open, "")
	v.WaitsFor, v.Due = WaitsForClient, asOf(now, s.session.due())
	if s.judging.Load() {
		v.WaitsFor, v.Due = WaitsForValidator, time.Time{}
	}
	if expects := s.session.expects; expects.Known {
		v.Expects = &expects.StepID
	}
	return v
}

// Views iterates over the open sessions, in no order. Those that begin or end meanwhile may be left out.
func (m *Manager) Views() iter.Seq[View] {
	return func(yield func(View) bool) {
		m.mu.Lock()
		slots := slices.Collect(maps.Keys(m.slots))
		m.mu.Unlock()
		for batch := range slices.Chunk(slots, detachBatch) {
			for _, v := range m.viewsOf(batch) {
				if !yield(v) {
					return
				}
			}
		}
	}
}

// viewsOf returns the open sessions of the slots.
func (m *Manager) viewsOf(slots []*slot) (views []View) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	for _, s := range slots {
		if s.session.open {
			s.seen = true
			views = append(views, s.view(now))
		}
	}
	return views
}

// View returns the open session of that id; false when there is none.
func (m *Manager) View(id string) (View, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.openSlot(id); s != nil {
		return s.view(m.clock.Now()), true
	}
	return View{}, false
}

// openSlot returns the slot with the open session of that id; nil when there is none. The caller holds
// mu.
func (m *Manager) openSlot(id string) *slot {
	if s := m.named.byID[id]; s != nil && s.session.open {
		return s
	}
	for s := range m.slots {
		if s.name == "" && s.session.open && s.session.id == id {
			return s
		}
	}
	return nil
}
