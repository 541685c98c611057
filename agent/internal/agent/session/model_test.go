package session_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A model is what the design says of sessions, one step after another and with nothing of how
// they are kept. It is a plain value: copies are made with clone.
type model struct {
	mode       string // after_bad_step
	rules      session.Options
	changed    time.Time // when the rules were
	generation uint64
	conns      map[int]conn
	slots      map[string]slot // a nameless one by the connection that it began with, such as "#7"
	count      int             // of sessions that have ended
	stats      session.Stats
	ended      []string
	free       map[string]time.Time // when the last step of a name or connection had been judged
}

// A conn is an open connection.
type conn struct {
	from who
	own  string // the slot for steps that name no session; empty when it has none
}

// A who is where a client connects from, and its identity; empty for none.
type who struct{ addr, identity string }

// account is whom session names count for.
func (w who) account() who {
	if w.identity != "" {
		w.addr = ""
	}
	return w
}

// A slot is where sessions happen one after another: a name, or what a nameless client has.
type slot struct {
	name    string
	key     string // of a named slot, in slots
	from    who    // that used it first
	run     run
	replies []cachedReply
	users   []int // the open connection that used it last
	left    time.Time
	rest    int       // when its last session ended, as an order; 0 for never
	ended   time.Time // the same as a time
}

// A run is a session that is open; the zero value is none.
type run struct {
	steps, position           int
	wants                     int64 // sequence's next step
	began, due                time.Time
	from                      who // that began it
	passed, failed, undecided int
	generations               string
}

// A cachedReply is a reply that was given to a req.
type cachedReply struct {
	req   protocol.ReqID
	reply protocol.Reply
}

func (m *model) clone() *model {
	c := *m
	c.conns, c.slots, c.ended, c.free = maps.Clone(m.conns), maps.Clone(m.slots), slices.Clone(m.ended), maps.Clone(m.free)
	for id, p := range c.slots {
		p.replies, p.users = slices.Clone(p.replies), slices.Clone(p.users)
		c.slots[id] = p
	}
	return &c
}

func (p slot) open() bool { return p.run.position > 0 }

// deadline is when the slot's session, or the memory of its replies, is to end.
func (m *model) deadline(p slot) time.Time {
	if !p.open() {
		return p.ended.Add(m.rules.IdleTimeout)
	}
	deadline := p.run.due.Add(m.rules.IdleTimeout)
	if len(p.users) == 0 {
		interval := min(max(p.run.due.Sub(p.left), 0), m.rules.LongestInterval) // what is left of it
		from := p.left.Add(interval)
		if resume := from.Add(m.rules.ResumeWindow); resume.Before(deadline) {
			deadline = resume
		}
	}
	return deadline
}

// advance lets the time pass until now: what is due to end does, one after another.
func (m *model) advance(now time.Time) {
	for {
		ending := m.ending(now)
		if len(ending) == 0 {
			return
		}
		id := slices.MinFunc(ending, func(a, b string) int {
			return m.deadline(m.slots[a]).Compare(m.deadline(m.slots[b]))
		})
		p := m.slots[id]
		if !p.open() {
			delete(m.slots, id)
			continue
		}
		at := m.deadline(p)
		if at.Before(m.changed) {
			at = m.changed
		}
		m.end(&p, at, "incomplete")
		m.keep(id, p)
	}
}

// ending returns the slots of which something is to end by then.
func (m *model) ending(then time.Time) []string {
	var ending []string
	for id, p := range m.slots {
		if (p.name != "" || p.open()) && !then.Before(m.deadline(p)) {
			ending = append(ending, id)
		}
	}
	return ending
}

// keep stores a slot, unless there is nothing left in it: of a nameless one that is no
// longer used.
func (m *model) keep(id string, p slot) {
	if !p.open() && (p.name == "" && len(p.users) == 0 || p.name != "" && p.rest == 0) {
		delete(m.slots, id)
		return
	}
	m.slots[id] = p
}

func (m *model) end(p *slot, at time.Time, verdict string) {
	if verdict == "" {
		m.stats.Completed++
		verdict = "pass"
		if p.run.failed > 0 {
			verdict = "fail"
		}
	} else {
		m.stats.Incomplete++
	}
	m.stats.Open--
	m.ended = append(m.ended, fmt.Sprintf("%s: %s steps=%d of=%d passed=%d failed=%d undecided=%d duration=%v validators=%s",
		p.id(), verdict, p.run.position, p.run.steps, p.run.passed, p.run.failed, p.run.undecided,
		at.Sub(p.run.began).Round(time.Millisecond), p.run.generations))
	p.run = run{}
	m.count++
	p.rest, p.ended = m.count, at
}

// id is what the log calls the slot's sessions, but for those without a name.
func (p slot) id() string {
	if p.name == "" {
		return "nameless by " + p.run.from.identity
	}
	return p.key
}

// find returns the slot that a connection's sessions of a name are in, or would be: the identity's, or
// else that of the address or of all, as the rules say. What is open when the rules change goes on.
func (m *model) find(c int, name string) string {
	if name == "" {
		return m.conns[c].own
	}
	from := m.conns[c].from
	if from.identity != "" {
		return name + "·" + from.identity
	}
	ofAddress := name + "←" + from.addr
	if _, found := m.slots[ofAddress]; found || !m.rules.OwnerAddress {
		if found {
			return ofAddress
		}
		return name
	}
	if p, found := m.slots[name]; found && (p.open() && p.run.from.addr == from.addr || !p.open() && p.from.addr == from.addr) {
		return name
	}
	return ofAddress
}

// slotFor returns where the connection's step is to be judged, and makes the slot if need be.
func (m *model) slotFor(c int, name string) string {
	id, from := m.find(c, name), m.conns[c].from
	if name == "" {
		if id == "" {
			id = fmt.Sprint("#", c)
			m.slots[id] = slot{from: from}
			m.take(c, id)
		}
		return id
	}
	p, found := m.slots[id]
	if !found {
		account := from.account()
		for m.names(account) >= m.rules.MaxOpenPerAddress && m.restsLongest(account) != "" {
			delete(m.slots, m.restsLongest(account))
		}
		for m.names(who{}) >= m.rules.MaxOpen && m.restsLongest(who{}) != "" {
			delete(m.slots, m.restsLongest(who{}))
		}
		p.name, p.key, p.from = name, id, from
	}
	p.users = []int{c}
	m.slots[id] = p
	return id
}

// take makes the connection the user of a nameless slot.
func (m *model) take(c int, id string) {
	m.conns[c] = conn{from: m.conns[c].from, own: id}
	p := m.slots[id]
	p.users = []int{c}
	m.slots[id] = p
}

// names is how many names there are that the account was first to use, or any.
func (m *model) names(account who) int {
	n := 0
	for _, p := range m.slots {
		if p.name != "" && (account == who{} || p.from.account() == account) {
			n++
		}
	}
	return n
}

// room is how many further sessions the client may begin.
func (m *model) room(from who) int {
	ofAddress, ofIdentity := 0, 0
	for _, p := range m.slots {
		if p.open() && p.run.from.addr == from.addr {
			ofAddress++
		}
		if p.open() && p.run.from.identity == from.identity {
			ofIdentity++
		}
	}
	room := min(m.rules.MaxOpen-m.stats.Open, m.rules.MaxOpenPerAddress-ofAddress)
	if limit := maxSessions[from.identity]; limit > 0 {
		room = min(room, limit-ofIdentity)
	}
	return room
}

func (m *model) restsLongest(account who) (oldest string) {
	for id, p := range m.slots {
		if p.name != "" && (account == who{} || p.from.account() == account) && !p.open() && p.rest > 0 && (oldest == "" || p.rest < m.slots[oldest].rest) {
			oldest = id
		}
	}
	return oldest
}

// leave closes a connection.
func (m *model) leave(c int, now time.Time) {
	delete(m.conns, c)
	for id, p := range m.slots {
		if i := slices.Index(p.users, c); i >= 0 {
			p.users = slices.Delete(p.users, i, i+1)
			if len(p.users) == 0 {
				p.left = now
			}
			m.keep(id, p)
		}
	}
}
