package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// Check verifies the tables. No step may be in flight and no timer about to fire.
func (m *Manager) Check() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var wrong []error
	must := func(ok bool, s *slot, what string) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("slot %q of %v: %s", s.name, &s.client, what))
		}
	}
	open, named, nameless, retained, bytes := 0, 0, 0, 0, 0
	begun, begunBy, ofAddress := map[netip.Addr]int{}, map[string]int{}, 0
	type counted struct{ slots, bytes, retained int }
	shares := map[clientKey]counted{}
	for s := range m.slots {
		must(!s.removed.Load(), s, "marked as removed, but in the tables")
		if s.session.open {
			open++
			begun[s.session.client.addr.Addr()]++
			if identity := s.session.client.identity(); identity != "" {
				begunBy[identity]++
			}
			must(s.session.position > 0, s, "a session without a step")
		}
		must(!s.isRetained() || !s.session.open, s, "retained with an open session")
		size := 0
		for i := range s.replay.replies {
			size += cachedBytes(&s.replay.replies[i])
		}
		bytes += size
		must(s.replay.bytes == size, s, fmt.Sprintf("caches %d bytes of replies, counted %d", size, s.replay.bytes))
		must(s.inFlight.Load() == 0, s, "a step in flight")
		if s.name == "" {
			must(s.session.open || s.owner != nil, s, "neither a session nor an owner")
			if s.session.open {
				nameless++
			}
			continue
		}
		named++
		must(m.named.byID[s.session.id] == s, s, "another slot has its id")
		must(auditlog.SessionName(s.session.id) == s.name, s, "its id has another name: "+s.session.id)
		must(s.client.identity() == "" || strings.HasSuffix(s.session.id, auditlog.IdentityMark+s.client.identity()), s, "its id has another identity")
		must(!s.session.open || s.session.client.identity() == s.client.identity(), s, "begun by another identity")
		if s.isOfAddress() {
			ofAddress++
		}
		must(s.session.open || s.isRetained(), s, "neither open nor retained")
		must((s.owner != nil) == s.left.IsZero(), s, "owner and time of leaving contradict each other")
		must(s.owner == nil || s.owned != nil && s.owned.Value == s, s, "not in the list of its owner")
		of := shares[s.client.account()]
		of.slots++
		of.bytes += size
		if s.isRetained() {
			of.retained++
		}
		shares[s.client.account()] = of
	}
	for e := m.named.retained.Front(); e != nil; e = e.Next() {
		retained++
		s := e.Value.(*slot)
		must(s.retained == e && !s.removed.Load(), s, "wrongly in the list of retained slots")
	}
	listed := 0
	for origin, a := range m.nameless {
		a.flush()
		if len(a.attached)+len(a.detached) == 0 {
			wrong = append(wrong, fmt.Errorf("the index of %v is empty", origin))
		}
		for _, index := range []stepIndex{a.attached, a.detached} {
			for expects, list := range index {
				listed += len(list)
				must(len(list) > 0, &slot{}, "an empty list")
				must(slices.IsSortedFunc(list, func(a, b *slot) int { return a.session.due().Compare(b.session.due()) }), list[0], "an unsorted list")
				for _, s := range list {
					must(!s.removed.Load() && s.session.open && s.session.expects == expects, s, "wrongly indexed")
					must(s.client.origin() == origin && s.session.client.origin() == origin, s, "in the index of another origin")
				}
			}
		}
		for _, list := range a.attached {
			for _, s := range list {
				must(s.owner != nil && s.owner.own == s && s.left.IsZero(), s, "wrongly attached")
			}
		}
		for _, list := range a.detached {
			for _, s := range list {
				must(s.owner == nil && !s.left.IsZero(), s, "wrongly detached")
			}
		}
	}
	if open != m.stats.Open || named != len(m.named.byID) || nameless != listed || retained != m.named.retained.Len() || ofAddress != m.named.byAddress {
		wrong = append(wrong, fmt.Errorf("open %d of %d, named %d of %d, nameless %d of %d, retained %d of %d, of addresses %d of %d",
			m.stats.Open, open, len(m.named.byID), named, listed, nameless, m.named.retained.Len(), retained, m.named.byAddress, ofAddress))
	}
	for account, of := range m.named.shares {
		if got := (counted{of.slots, of.bytes, of.retained.Len()}); got != shares[account] || of.account != account {
			wrong = append(wrong, fmt.Errorf("share of %v: %v, want %v", account, got, shares[account]))
		}
	}
	if bytes != m.named.bytes || !maps.Equal(begun, m.begun) || !maps.Equal(begunBy, m.begunBy) {
		wrong = append(wrong, fmt.Errorf("bytes of replies %d of %d, begun %v of %v and %v of %v",
			m.named.bytes, bytes, m.begun, begun, m.begunBy, begunBy))
	}
	return errors.Join(wrong...)
}

// ReplyBytes is what a cached reply counts without its detail.
const ReplyBytes = replyBytes

// Leftovers describes what the tables still hold; empty when that is nothing.
func (m *Manager) Leftovers() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.slots)+len(m.named.byID)+m.named.byAddress+m.named.retained.Len()+len(m.nameless)+
		len(m.begun)+len(m.begunBy)+len(m.named.shares)+m.stats.Open+m.named.bytes == 0 {
		return ""
	}
	return fmt.Sprintf("%d slots, %d named, %d retained, %d origins indexed, %d open, begun from %d addresses by %d identities, %d bytes of replies",
		len(m.slots), len(m.named.byID), m.named.retained.Len(), len(m.nameless), m.stats.Open, len(m.begun), len(m.begunBy), m.named.bytes)
}

// HoldTurn locks the turn of the connection's own slot and returns a function that unlocks it.
func (c *Conn) HoldTurn() (unlock func()) {
	s := c.own
	s.turn.lock(context.Background())
	return s.turn.unlock
}

// Names is the number of session names that the connection owns.
func (c *Conn) Names() int {
	c.manager.mu.Lock()
	defer c.manager.mu.Unlock()
	return c.named.Len()
}
