package session

import "slices"

// A namelessIndex finds the nameless slots that have a session, by their client's origin. Manager.mu
// guards it and all that it holds.
type namelessIndex map[clientKey]*addrIndex

// An addrIndex holds the slots of one origin, by the step that each expects.
//
// Most steps come over connections that stay open, and change what their slot expects while no
// lookup needs it. So a step only marks its slot stale and queues it, once; the next lookup
// moves all queued slots.
type addrIndex struct {
	attached stepIndex // whose connection is open
	detached stepIndex // whose connection has closed
	slots    int       // in all, indexed or queued
	changed  []*slot   // the queue; it also has slots that are no longer stale
}

const (
	// minQueue is the length up to which the queue is not cleaned of slots that have gone.
	minQueue = 64
	// manyStale is the number of slots from which sorting beats moving one by one.
	manyStale = 64
)

// update queues a slot with a session, to be indexed by the next lookup.
func (x namelessIndex) update(s *slot) {
	if s.index == nil {
		s.index = x.of(s.client.origin())
		s.index.slots++
	}
	a := s.index
	s.stale = true
	if !s.queued {
		s.queued = true
		a.changed = append(a.changed, s)
	}
	if len(a.changed) > 2*a.slots+minQueue {
		a.changed = slices.DeleteFunc(a.changed, func(s *slot) bool {
			s.queued = s.stale
			return !s.stale
		})
	}
}

func (x namelessIndex) of(origin clientKey) *addrIndex {
	a := x[origin]
	if a == nil {
		a = &addrIndex{attached: stepIndex{}, detached: stepIndex{}}
		x[origin] = a
	}
	return a
}

// remove removes a slot, if the index has it.
func (x namelessIndex) remove(s *slot) {
	a := s.index
	if a == nil {
		return
	}
	a.drop(s)
	s.index, s.stale = nil, false
	if a.slots--; a.slots == 0 {
		for _, other := range a.changed {
			other.queued = false
		}
		delete(x, s.client.origin())
	}
}

// flush moves every queued slot to where its session says.
func (a *addrIndex) flush() {
	if len(a.changed) >= manyStale {
		a.moveAll()
	}
	for _, s := range a.changed {
		s.queued = false
		if s.stale {
			a.move(s)
		}
	}
	clear(a.changed) // so that slots which have ended can be freed
	a.changed = a.changed[:0]
}

// moveAll moves many slots. One by one, each of thousands that expect the same step would be
// moved to make room for each.
func (a *addrIndex) moveAll() {
	a.attached.removeStale()
	a.detached.removeStale()
	for _, s := range a.changed {
		if s.stale {
			a.indexFor(s).addUnsorted(s)
			s.stale = false
		}
	}
	a.attached.sort()
	a.detached.sort()
}

// move moves one slot to where its session and its owner say.
func (a *addrIndex) move(s *slot) {
	a.drop(s)
	a.indexFor(s).add(s)
	s.stale = false
}

func (a *addrIndex) indexFor(s *slot) stepIndex {
	if s.owner != nil {
		return a.attached
	}
	return a.detached
}

func (a *addrIndex) drop(s *slot) {
	if s.key.in != nil {
		s.key.in.remove(s)
	}
}
