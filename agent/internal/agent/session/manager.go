package session

import (
	"container/list"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
)

// maxLines limits the log lines a second about steps that did not pass, and those about sessions that
// ended; further ones are counted.
const maxLines = 500

// A Manager holds all sessions of an agent. It is safe for concurrent use.
//
// There are two kinds of lock. A slot's turn is held while a step of that slot is judged, which
// may take seconds. mu guards the tables and is held for microseconds. The turn comes first:
// nothing waits for a turn while it holds mu. What both guard is written with both held, so that
// either is enough to read it.
type Manager struct {
	judge Judge
	fresh bool // bypasses the verdict cache
	clock Clock
	log   *slog.Logger
	// Limits of the log lines that clients can cause.
	badSteps, ends, refusals, badNames *logging.Limiter

	options  atomic.Pointer[Options]
	observed atomic.Bool // changes are collected; written with mu held
	failures failures
	storage  storage       // set by Restore
	unnamed  atomic.Uint64 // sessions begun without a name, for their ids

	mu       sync.Mutex // guards the fields below
	slots    map[*slot]struct{}
	named    namedSlots
	nameless namelessIndex
	begun    map[netip.Addr]int // open sessions by the address that began them
	begunBy  map[string]int     // and by the identity, where there is one
	stats    Stats
	changes  changeLog
}

// Stats count sessions and steps since the agent started.
type Stats struct {
	// Open is the number of open sessions.
	Open int `json:"open"`
	// Completed had their last step judged; Incomplete were closed before.
	Completed  uint64 `json:"completed"`
	Incomplete uint64 `json:"incomplete"`
	// Passed, Failed and Undecided count steps.
	Passed    uint64 `json:"steps_passed"`
	Failed    uint64 `json:"steps_failed"`
	Undecided uint64 `json:"steps_undecided"`
	// ByReason counts the failed and the undecided steps by the reason of the reply, with each of
	// protocol.Judged and UndecidedReasons.
	ByReason map[protocol.Reason]uint64 `json:"steps_by_reason"`
	// Replayed counts requests answered from a replay cache.
	Replayed uint64 `json:"steps_replayed"`
	// RememberedBytes is the current size of all replay caches.
	RememberedBytes int `json:"remembered_bytes"`
	// Restored is how many sessions were open when the agent started, as they had been stored.
	Restored int `json:"restored"`
	// MovedIn counts open sessions of other agents that have gone on at this one, MovedOut those of
	// this agent that were found to have gone on at another.
	MovedIn  uint64 `json:"moved_in"`
	MovedOut uint64 `json:"moved_out"`
}

// UndecidedReasons returns the reasons of steps without a verdict. Busy is that of steps whose session
// could not be stored.
func UndecidedReasons() []protocol.Reason {
	return []protocol.Reason{protocol.ValidatorUnavailable, protocol.ShuttingDown, protocol.Busy}
}

// A Clock tells a Manager the time: the system's, or that of the packets of a capture.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f, which may block, once d has passed, as time.AfterFunc does.
	AfterFunc(d time.Duration, f func()) Timer
}

// A Timer is a scheduled call. *time.Timer is one, and documents the methods.
type Timer interface {
	Reset(d time.Duration) bool
	Stop() bool
}

type systemClock struct{}

func (systemClock) Now() time.Time { return time.Now() }

func (systemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// NewManager returns a Manager without sessions.
func NewManager(judge Judge, options Options, log *slog.Logger) *Manager {
	return NewManagerAt(systemClock{}, judge, options, log)
}

// NewManagerAt is NewManager with another clock. The wait for a takeover always uses the system's
// clock: with a clock that does not advance by itself, options.TakeoverWait must be 0.
func NewManagerAt(clock Clock, judge Judge, options Options, log *slog.Logger) *Manager {
	m := &Manager{
		judge: judge, clock: clock, log: log,
		badSteps: logging.NewBurstLimiter(time.Second, maxLines),
		ends:     logging.NewBurstLimiter(time.Second, maxLines),
		refusals: logging.NewLimiter(time.Second),
		badNames: logging.NewLimiter(time.Second),
		slots:    map[*slot]struct{}{},
		named:    namedSlots{byID: map[string]*slot{}, shares: map[clientKey]*share{}},
		nameless: namelessIndex{},
		begun:    map[netip.Addr]int{},
		begunBy:  map[string]int{},
		stats:    Stats{ByReason: map[protocol.Reason]uint64{}},
	}
	for _, reason := range append(protocol.Judged(), UndecidedReasons()...) {
		m.stats.ByReason[reason] = 0
	}
	m.SetOptions(options)
	return m
}

// ForProbes returns a Manager for health probes. It uses the judge of m, but bypasses the verdict
// cache, so that the validators themselves are checked. Its sessions have one step and are neither
// counted, logged nor limited.
func (m *Manager) ForProbes() *Manager {
	const unlimited = 1 << 30
	probes := NewManagerAt(m.clock, m.judge, Options{
		Steps: 1, MaxOpen: unlimited, MaxOpenPerAddress: unlimited, RememberedReplies: 1, IdleTimeout: time.Minute, ResumeWindow: time.Minute,
	}, slog.New(slog.DiscardHandler))
	probes.fresh = true
	return probes
}

// SetOptions replaces the options, for open sessions too.
func (m *Manager) SetOptions(options Options) {
	m.options.Store(&options)
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.slots {
		m.arm(s)
	}
}

// Stats returns the current counts.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	stats := m.stats
	stats.RememberedBytes = m.named.bytes
	stats.ByReason = maps.Clone(stats.ByReason)
	return stats
}

func (m *Manager) count(add func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add(&m.stats)
}

// Close ends every open session as incomplete and logs it; with a store, the sessions go on when the
// agent is back. It waits for steps that are being judged; connections must not send further ones.
func (m *Manager) Close() {
	m.mu.Lock()
	slots := slices.Collect(maps.Keys(m.slots))
	m.mu.Unlock()
	if m.storage.store != nil {
		m.suspend(slots)
		return
	}
	for _, s := range slots {
		m.evict(s, causeStopping)
	}
}

// namedSlot returns the slot of the client's session name, for a connection to use.
func (m *Manager) namedSlot(c *Conn, name string) *slot {
	o := m.options.Load()
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.named.find(&c.client, name, o.OwnerAddress)
	if s == nil {
		id := m.idOf(&c.client, name)
		s = &slot{name: id[:len(name)], client: c.client, session: session{id: id}}
		m.slots[s] = struct{}{}
		m.named.add(s)
		for s.share.slots > o.MaxOpenPerAddress && m.removeFirst(&s.share.retained) {
		}
		for len(m.named.byID) > o.MaxOpen && m.removeFirst(&m.named.retained) {
		}
	}
	s.attach(c)
	return s
}

// removeFirst removes the first slot of a list; false when the list is empty. The caller holds mu.
func (m *Manager) removeFirst(slots *list.List) bool {
	first := slots.Front()
	if first == nil {
		return false
	}
	m.remove(first.Value.(*slot))
	return true
}

// remove removes a slot without a session from all tables and from the store. The caller holds mu.
func (m *Manager) remove(s *slot) {
	if m.drop(s) {
		m.storage.forget(s)
	}
}

// drop removes a slot from all tables; false when it is in none. The caller holds mu.
func (m *Manager) drop(s *slot) bool {
	if s.removed.Swap(true) {
		return false
	}
	delete(m.slots, s)
	s.detach()
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.name != "" {
		m.named.remove(s)
	} else {
		m.nameless.remove(s)
	}
	return true
}
