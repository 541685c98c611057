package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"unsafe"
)

// Check says what is wrong with the tables while no step is being judged and no timer is
// about to go off.
func (m *Manager) Check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var wrong []error
	must := func(ok bool, s *seat, what string) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("seat %q of %v: %s", s.name, s.client, what))
		}
	}
	open, named, nameless, resting, kept := 0, 0, 0, 0, 0
	begun := map[netip.Addr]int{}
	type counted struct{ seats, kept, resting int }
	shares := map[netip.Addr]counted{}
	for s := range m.seats {
		must(!s.dead.Load(), s, "dead and not forgotten")
		must(s.card.open == (s.session != nil), s, "the card does not say whether there is a session")
		if s.card.open {
			open++
			begun[s.session.client.Addr()]++
			must(s.session.position > 0, s, "a session without a step")
			must(s.card.expects == s.session.expects && s.card.due.Equal(s.session.due()), s, "the card is out of date")
		}
		must(!s.isResting() || !s.card.open, s, "open and at rest")
		size := 0
		for _, m := range s.memos {
			size += m.bytes()
		}
		kept += size
		must(s.kept == size && s.card.kept == size, s, fmt.Sprintf("remembers %d bytes, counted %d and %d", size, s.kept, s.card.kept))
		must(s.inFlight.Load() == 0, s, "a step in flight")
		if s.name == "" {
			must(s.card.open || s.owner != nil, s, "neither open nor anybody's")
			if s.card.open {
				nameless++
			}
			continue
		}
		named++
		must(m.named[s.name] == s, s, "another has its name")
		must(s.card.open || s.isResting(), s, "neither open nor at rest")
		must((s.owner != nil) == s.card.left.IsZero(), s, "left by mistake")
		must(s.owner == nil || s.owned != nil && s.owned.Value == s, s, "not known to its connection")
		of := shares[s.client.Addr()]
		of.seats++
		of.kept += size
		if s.isResting() {
			of.resting++
		}
		shares[s.client.Addr()] = of
	}
	for e := m.resting.Front(); e != nil; e = e.Next() {
		resting++
		s := e.Value.(*seat)
		must(s.rest.all == e && !s.dead.Load(), s, "at rest by mistake")
	}
	listed := 0
	for addr, h := range m.hosts {
		h.order()
		if len(h.attached)+len(h.left) == 0 {
			wrong = append(wrong, fmt.Errorf("host %v has no seat", addr))
		}
		for _, shelves := range []shelves{h.attached, h.left} {
			for expects, shelf := range shelves {
				listed += len(shelf)
				must(len(shelf) > 0, &seat{}, "an empty shelf")
				must(slices.IsSortedFunc(shelf, func(a, b *seat) int { return a.card.due.Compare(b.card.due) }), shelf[0], "a shelf out of order")
				for _, s := range shelf {
					must(!s.dead.Load() && s.card.open && s.card.expects == expects, s, "listed by mistake")
				}
			}
		}
		for _, shelf := range h.attached {
			for _, s := range shelf {
				must(s.owner != nil && s.owner.own == s && s.card.left.IsZero(), s, "attached by mistake")
			}
		}
		for _, shelf := range h.left {
			for _, s := range shelf {
				must(s.owner == nil && !s.card.left.IsZero(), s, "left by mistake")
			}
		}
	}
	if open != m.stats.Open || named != len(m.named) || nameless != listed || resting != m.resting.Len() {
		wrong = append(wrong, fmt.Errorf("open %d of %d, named %d of %d, nameless %d of %d, resting %d of %d",
			m.stats.Open, open, len(m.named), named, listed, nameless, m.resting.Len(), resting))
	}
	for addr, of := range m.shares {
		if got := (counted{of.seats, of.kept, of.resting.Len()}); got != shares[addr] {
			wrong = append(wrong, fmt.Errorf("share of %v: %v, want %v", addr, got, shares[addr]))
		}
	}
	if kept != m.stats.RememberedBytes || !maps.Equal(begun, m.begun) {
		wrong = append(wrong, fmt.Errorf("remembered bytes %d of %d, begun %v of %v", m.stats.RememberedBytes, kept, m.begun, begun))
	}
	return errors.Join(wrong...)
}

// A memo is counted as MemoBytes and its detail, and takes MemoSize and what it points to.
const (
	MemoBytes = memoBytes
	MemoSize  = unsafe.Sizeof(memo{})
)

// Leftovers says what the tables still hold; empty when everything has ended.
func (m *Manager) Leftovers() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.seats)+len(m.named)+m.resting.Len()+len(m.hosts)+len(m.begun)+len(m.shares)+m.stats.Open+m.stats.RememberedBytes == 0 {
		return ""
	}
	return fmt.Sprintf("%d seats, %d named, %d at rest, %d hosts, %d open, begun from %d addresses, %d bytes remembered",
		len(m.seats), len(m.named), m.resting.Len(), len(m.hosts), m.stats.Open, len(m.begun), m.stats.RememberedBytes)
}

// HoldTurn has the turn of the connection's own seat until the function is called.
func (c *Conn) HoldTurn() (pass func()) {
	s := c.own
	s.turn.take(context.Background())
	return s.turn.pass
}

// Names is how many session names the connection keeps.
func (c *Conn) Names() int {
	c.manager.mu.Lock()
	defer c.manager.mu.Unlock()
	return c.named.Len()
}
