package session

import (
	"container/list"
	"net/netip"
)

// namedSlots is the table of the slots that have a session name. Manager.mu guards it.
//
// A slot whose session has ended is retained for a while, because the client may not have received
// the last reply and send its request again.
type namedSlots struct {
	byName   map[string]*slot
	retained list.List // of *slot, the one retained longest first
	shares   map[netip.Addr]*share
	bytes    int    // of all replay caches
	largest  *share // the last share seen with more than half of bytes
}

// A share is what the named slots of one address take. Past the limit of bytes an address with
// more than half of them loses its own retained slots before others lose any.
type share struct {
	slots    int
	bytes    int       // of replay caches
	retained list.List // of *slot, the one retained longest first
}

func (t *namedSlots) shareOf(s *slot) *share { return t.shares[s.client.Addr()] }

// add adds a slot and returns the share that it counts in.
func (t *namedSlots) add(s *slot) *share {
	of := t.shareOf(s)
	if of == nil {
		of = &share{}
		t.shares[s.client.Addr()] = of
	}
	of.slots++
	t.byName[s.name] = s
	return of
}

// remove removes a slot and releases the bytes of its replay cache.
func (t *namedSlots) remove(s *slot) {
	t.unretain(s)
	t.addBytes(s, -s.replay.bytes)
	delete(t.byName, s.name)
	of := t.shareOf(s)
	if of.slots--; of.slots == 0 {
		delete(t.shares, s.client.Addr())
	}
}

// retain appends a slot whose session has ended to the lists of retained ones.
func (t *namedSlots) retain(s *slot) {
	s.retained, s.shared = t.retained.PushBack(s), t.shareOf(s).retained.PushBack(s)
}

// unretain is the opposite of retain, for a slot whose next session begins.
func (t *namedSlots) unretain(s *slot) {
	if s.isRetained() {
		t.retained.Remove(s.retained)
		t.shareOf(s).retained.Remove(s.shared)
		s.retained, s.shared = nil, nil
	}
}

// addBytes adds a change of the slot's replay cache to the sums.
func (t *namedSlots) addBytes(s *slot, n int) {
	of := t.shareOf(s)
	t.bytes += n
	of.bytes += n
	if t.isLarge(of) {
		t.largest = of
	}
}

func (t *namedSlots) isLarge(of *share) bool { return of != nil && of.bytes > t.bytes/2 }

// evictable returns the list whose first slot is evicted next.
func (t *namedSlots) evictable() *list.List {
	if t.isLarge(t.largest) && t.largest.retained.Len() > 0 {
		return &t.largest.retained
	}
	return &t.retained
}
