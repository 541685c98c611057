package session

const (
	// maxEnded bounds the ended sessions that wait for Changes.
	maxEnded = 1 << 14
	// maxUnseen is how many ended sessions may wait for Changes for one that no observer has seen to
	// be added: a flood of short sessions is sampled.
	maxUnseen = 100
)

// Changes are the sessions that have changed since the last call of Manager.Changes.
type Changes struct {
	// Views are the sessions as they are now, the oldest change first.
	Views []View
	// Waiting is how many are left for the next call.
	Waiting int
	// Unseen counts sessions that have ended and were in no view, and Lost those that were: they are
	// left out for good.
	Unseen, Lost int
}

// A changeLog holds what observers have not been told. Manager.mu guards it.
type changeLog struct {
	slots        []*slot // whose open sessions have changed, in the order of the change
	ended        []View
	unseen, lost int
}

// Observe makes the Manager collect changes for Changes, or stops that.
func (m *Manager) Observe(on bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.observed.Store(on)
	for _, s := range m.changes.slots {
		s.changed = false
	}
	m.changes = changeLog{}
}

// change notes that the slot's session has changed. The caller holds mu.
func (m *Manager) change(s *slot) {
	if m.observed.Load() && !s.changed {
		s.changed = true
		m.changes.slots = append(m.changes.slots, s)
	}
}

// changeEnded notes that the slot's session ends. The caller holds mu.
func (m *Manager) changeEnded(s *slot, cause string) {
	c := &m.changes
	switch {
	case !m.observed.Load():
	case !s.seen && len(c.ended) >= maxUnseen:
		c.unseen++
	case len(c.ended) >= maxEnded:
		c.lost++
	default:
		c.ended = append(c.ended, s.session.view(m.clock.Now(), State(s.session.verdict(cause)), cause))
	}
	s.seen = false
}

// Changes returns what has changed since the last call: at most limit views.
func (m *Manager) Changes(limit int) Changes {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &m.changes
	n := min(max(limit-len(c.slots), (limit+1)/2), len(c.ended)) // leaves half of the room to open ones
	changed := Changes{Views: c.ended[:n:n], Unseen: c.unseen, Lost: c.lost}
	c.ended, c.unseen, c.lost = c.ended[n:], 0, 0
	taken, now := 0, m.clock.Now()
	for _, s := range c.slots {
		if len(changed.Views) >= limit {
			break
		}
		taken++
		s.changed = false
		if s.session.open {
			s.seen = true
			changed.Views = append(changed.Views, s.view(now))
		}
	}
	c.slots = c.slots[taken:]
	changed.Waiting = len(c.ended) + len(c.slots)
	return changed
}

// EndSession ends the open session of that id as incomplete, after the step that is being judged in it.
// It returns false when there is none.
func (m *Manager) EndSession(id string) bool {
	m.mu.Lock()
	s := m.openSlot(id)
	m.mu.Unlock()
	return s != nil && m.evict(s, causeOperator)
}
