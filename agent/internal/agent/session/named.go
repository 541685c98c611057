package session

import "container/list"

// namedSlots is the table of the slots that have a session name. Manager.mu guards it.
//
// A name of a client with an identity, and with Options.OwnerAddress one of an address, is another
// slot than the same name of other clients. The id of a slot's sessions is its key.
//
// A slot whose session has ended is retained for a while, because the client may not have received
// the last reply and send its request again.
type namedSlots struct {
	byID      map[string]*slot
	byAddress int       // how many belong to an address
	retained  list.List // of *slot, the one retained longest first
	shares    map[clientKey]*share
	bytes     int    // of all replay caches
	largest   *share // the last share seen with more than half of bytes
}

// A share is what the named slots of one account take: of an identity, or of an address. Past the
// limit of bytes an account with more than half of them loses its own retained slots before others
// lose any.
type share struct {
	account  clientKey
	slots    int
	bytes    int       // of replay caches
	retained list.List // of *slot, the one retained longest first
}

// find returns the slot of a client's session name; nil for none. With byAddress the name belongs to
// the client's address unless the client has an identity.
func (t *namedSlots) find(c *client, name string, byAddress bool) *slot {
	if c.identity() == "" && !byAddress && t.byAddress == 0 {
		return t.byID[name]
	}
	var room [maxIDBytes]byte
	s := t.byID[string(c.appendID(room[:0], name, true))]
	if s != nil || c.identity() != "" {
		return s
	}
	s = t.byID[name]
	if s != nil && byAddress && s.user().account() != c.account() {
		return nil // from before the option changed, and of another address
	}
	return s
}

// maxIDBytes is the length from which an id takes an allocation at each step.
const maxIDBytes = 384

// add adds a slot.
func (t *namedSlots) add(s *slot) {
	account := s.client.account()
	s.share = t.shares[account]
	if s.share == nil {
		s.share = &share{account: account}
		t.shares[account] = s.share
	}
	s.share.slots++
	t.byID[s.session.id] = s
	if s.isOfAddress() {
		t.byAddress++
	}
}

// remove removes a slot and releases the bytes of its replay cache.
func (t *namedSlots) remove(s *slot) {
	t.unretain(s)
	t.addBytes(s, -s.replay.bytes)
	delete(t.byID, s.session.id)
	if s.isOfAddress() {
		t.byAddress--
	}
	if s.share.slots--; s.share.slots == 0 {
		delete(t.shares, s.share.account)
	}
}

// retain appends a slot whose session has ended to the lists of retained ones.
func (t *namedSlots) retain(s *slot) {
	s.retained, s.shared = t.retained.PushBack(s), s.share.retained.PushBack(s)
}

// unretain is the opposite of retain, for a slot whose next session begins.
func (t *namedSlots) unretain(s *slot) {
	if s.isRetained() {
		t.retained.Remove(s.retained)
		s.share.retained.Remove(s.shared)
		s.retained, s.shared = nil, nil
	}
}

// addBytes adds a change of the slot's replay cache to the sums.
func (t *namedSlots) addBytes(s *slot, n int) {
	t.bytes += n
	s.share.bytes += n
	if t.isLarge(s.share) {
		t.largest = s.share
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
