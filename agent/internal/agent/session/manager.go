package session

import (
	"container/list"
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// How many lines about steps that did not pass, and about sessions that ended, are logged in
// one second each; further ones are counted.
const (
	maxBadStepLines = 500
	maxEndLines     = 500
)

// A Manager holds all sessions of an agent. It is safe for concurrent use.
type Manager struct {
	judge Judge
	clock Clock
	log   *slog.Logger
	// These bound the lines that clients can cause.
	badSteps, ends, crowded *logging.Limiter

	options atomic.Pointer[Options]

	mu      sync.Mutex // nobody who has it waits for a seat's turn
	seats   map[*seat]struct{}
	named   map[string]*seat
	resting *list.List // the named seats without a session, the one that rests longest first
	shares  map[netip.Addr]*share
	most    *share // the last to take more than half of the remembered bytes
	hosts   map[netip.Addr]*host
	begun   map[netip.Addr]int // open sessions by the address that began them
	unnamed uint64             // sessions begun that no client has named
	stats   Stats
}

// Stats count sessions and steps since the agent started.
type Stats struct {
	// Open is how many sessions are open now.
	Open int `json:"open"`
	// Completed had their last step judged; Incomplete were closed before.
	Completed  uint64 `json:"completed"`
	Incomplete uint64 `json:"incomplete"`
	// Passed, Failed and Undecided count steps.
	Passed    uint64 `json:"steps_passed"`
	Failed    uint64 `json:"steps_failed"`
	Undecided uint64 `json:"steps_undecided"`
	// Replayed counts requests that were answered again from memory.
	Replayed uint64 `json:"steps_replayed"`
	// RememberedBytes is what the replies kept for a repeated req take now.
	RememberedBytes int `json:"remembered_bytes"`
}

// NewManager returns a Manager without sessions.
func NewManager(judge Judge, options Options, log *slog.Logger) *Manager {
	return NewManagerAt(systemClock{}, judge, options, log)
}

// NewManagerAt is NewManager with another clock. Waits for a takeover go by the system's clock all
// the same: with a clock that does not run by itself, options.TakeoverWait must be 0.
func NewManagerAt(clock Clock, judge Judge, options Options, log *slog.Logger) *Manager {
	m := &Manager{
		judge: judge, clock: clock, log: log,
		badSteps: logging.NewBurstLimiter(time.Second, maxBadStepLines),
		ends:     logging.NewBurstLimiter(time.Second, maxEndLines),
		crowded:  logging.NewLimiter(time.Second),
		seats:    map[*seat]struct{}{},
		named:    map[string]*seat{},
		resting:  list.New(),
		shares:   map[netip.Addr]*share{},
		hosts:    map[netip.Addr]*host{},
		begun:    map[netip.Addr]int{},
	}
	m.SetOptions(options)
	return m
}

// SetOptions puts other rules in force, for open sessions too.
func (m *Manager) SetOptions(options Options) {
	m.options.Store(&options)
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.seats {
		m.arm(s)
	}
}

// Stats returns the counts as they are now.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stats
}

// Close ends every open session as incomplete and says so in the log. Steps that are being
// judged finish first. No connection may have a step judged any more.
func (m *Manager) Close() {
	m.mu.Lock()
	seats := make([]*seat, 0, len(m.seats))
	for s := range m.seats {
		seats = append(seats, s)
	}
	m.mu.Unlock()
	for _, s := range seats {
		m.dismiss(s)
	}
}

// dismiss takes the seat's turn, ends its session and forgets it.
func (m *Manager) dismiss(s *seat) {
	s.turn.take(context.Background())
	defer s.turn.pass()
	m.mu.Lock()
	var ended *session
	if s.session != nil {
		ended = m.end(s, stopping)
	}
	m.forget(s)
	m.mu.Unlock()
	m.logEnd(ended, stopping)
}

// seatNamed returns the seat of the name, a new one when there is none.
func (m *Manager) seatNamed(c *Conn, name string) *seat {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.named[name]
	if s == nil {
		s = newSeat(name, c.peer.Addr)
		m.addNamed(s)
	}
	m.own(s, c)
	return s
}

// leave takes note that a connection which used the seat has closed; the caller holds mu.
func (m *Manager) leave(s *seat, c *Conn) {
	switch {
	case s.dead.Load():
	case s.owner != c: // another connection has taken it up
	case s.name != "":
		m.disown(s)
		s.card.left = m.clock.Now()
		switch {
		case s.card.open:
			m.arm(s)
		case !s.isResting():
			m.forget(s) // it never had a session
		}
	case s.card.open:
		m.part(s)
	default:
		m.forget(s)
	}
}

// forget takes a seat without a session out of all tables; the caller holds mu.
func (m *Manager) forget(s *seat) {
	if s.dead.Swap(true) {
		return
	}
	delete(m.seats, s)
	m.recount(s, 0)
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.name != "" {
		m.removeNamed(s)
	}
}
