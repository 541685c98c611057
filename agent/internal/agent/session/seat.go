package session

import (
	"container/list"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// A seat is where one client's sessions happen, one after another.
type seat struct {
	// name is the session name; empty for the seat of a nameless connection.
	name string
	// client is the address and port from which the seat was first taken.
	client netip.AddrPort
	// turn is held by what judges a step here or closes the session.
	turn turn

	// Guarded by turn.
	session *session // nil between two sessions, else &current
	current session
	label   string // of the session, or of one that had no step judged and is to begin again
	rounds  int
	memos   []memo
	kept    int // bytes that the memos take

	// Guarded by Manager.mu.
	timer Timer
	fires time.Time // when the timer goes off; zero when it is not set
	owner *Conn     // the connection that used the seat last; nil once that has closed
	card  card

	// Of a named seat, guarded by Manager.mu.
	owned *list.Element // in its owner's list
	rest  resting       // without a session: its places among those

	dead     atomic.Bool  // no longer in the manager's tables: look for the seat again. Set under mu
	inFlight atomic.Int32 // steps of a nameless seat, with which its card is about to change

	// Of a nameless seat, guarded by Manager.mu, see host.
	place  place
	host   *host // where it is to be found while it has a session; nil otherwise
	moved  bool  // it is not where its card says
	queued bool  // it is in its host's queue
}

// A card is what others may know of a seat's session without having its turn.
type card struct {
	open    bool // there is a session
	expects judge.Expectation
	due     time.Time // when the client's next step is expected; without a session, when it ended
	left    time.Time // when the last connection closed; zero while there is one
	kept    int       // the seat's kept, as it stands in the manager's sum
}

func newSeat(name string, client netip.AddrPort) *seat {
	return &seat{name: name, client: client}
}

// deadline is when the seat is to be looked at if nothing happens: to close its session, or
// to forget a named seat without one. The caller holds Manager.mu.
func (s *seat) deadline(o *Options) time.Time {
	deadline := s.card.due.Add(o.IdleTimeout)
	if !s.card.open || s.card.left.IsZero() {
		return deadline
	}
	back := s.card.due // when the client is to be expected
	if last := s.card.left.Add(o.LongestInterval); last.Before(back) {
		back = last
	}
	if back.Before(s.card.left) {
		back = s.card.left
	}
	if resume := back.Add(o.ResumeWindow); resume.Before(deadline) {
		return resume
	}
	return deadline
}
