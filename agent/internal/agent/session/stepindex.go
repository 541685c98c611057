package session

import (
	"slices"
	"sort"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// earlyBy is how long before its due time a client may come back and still count as due: it may
// measure its interval from when it sent.
const earlyBy = 5 * time.Millisecond

// A stepIndex holds nameless slots of one origin by the step that each expects.
type stepIndex map[judge.Expectation]dueList

// A dueList holds slots in the order in which their clients are due. It may have thousands.
type dueList []*slot

// An indexKey is where an index holds a slot: the values of its session when it was added. The zero
// value is nowhere.
type indexKey struct {
	in      stepIndex
	expects judge.Expectation
	due     time.Time
}

func (x stepIndex) keyOf(s *slot) indexKey {
	return indexKey{in: x, expects: s.session.expects, due: s.session.due()}
}

// add adds a slot in its order.
func (x stepIndex) add(s *slot) {
	s.key = x.keyOf(s)
	list := x[s.key.expects]
	x[s.key.expects] = slices.Insert(list, list.countUntil(s.key.due), s)
}

// addUnsorted adds a slot at the end of its list; sort must follow.
func (x stepIndex) addUnsorted(s *slot) {
	s.key = x.keyOf(s)
	x[s.key.expects] = append(x[s.key.expects], s)
}

func (x stepIndex) sort() {
	for _, list := range x {
		slices.SortStableFunc(list, func(a, b *slot) int { return a.key.due.Compare(b.key.due) })
	}
}

// remove removes a slot.
func (x stepIndex) remove(s *slot) {
	list := x[s.key.expects]
	// Few are due at the very same moment.
	from := sort.Search(len(list), func(i int) bool { return !list[i].key.due.Before(s.key.due) })
	at := from + slices.Index(list[from:], s)
	x.set(s.key.expects, slices.Delete(list, at, at+1))
	s.key = indexKey{}
}

// removeStale removes the slots whose keys are stale.
func (x stepIndex) removeStale() {
	for expects, list := range x {
		x.set(expects, slices.DeleteFunc(list, func(s *slot) bool {
			if s.stale {
				s.key = indexKey{}
			}
			return s.stale
		}))
	}
}

func (x stepIndex) set(expects judge.Expectation, list dueList) {
	if len(list) > 0 {
		x[expects] = list
	} else {
		delete(x, expects)
	}
}

// nearestDue returns, of the slots that are due, the one due nearest to at; several says that slots
// with different expected steps are due.
func (x stepIndex) nearestDue(at time.Time) (nearest *slot, several bool) {
	for _, list := range x {
		s := list.nearestDue(at)
		if s == nil {
			continue
		}
		several = nearest != nil
		if nearest == nil || s.distance(at) < nearest.distance(at) {
			nearest = s
		}
	}
	return nearest, several
}

// leftLast returns the slot that was left last, nil when there is none.
func (x stepIndex) leftLast() *slot {
	var last dueList
	for _, list := range x {
		last = append(last, list.leftLast())
	}
	return last.leftLast()
}

// countUntil returns how many slots are due at that time or before.
func (l dueList) countUntil(at time.Time) int {
	return sort.Search(len(l), func(i int) bool { return l[i].key.due.After(at) })
}

// nearestDue returns, of the slots that are due, the one due nearest to at; nil when none is due.
func (l dueList) nearestDue(at time.Time) *slot {
	n := l.countUntil(at)
	switch early := n < len(l) && l[n].isDue(at); {
	case n == 0 && !early:
		return nil
	case n == 0 || early && l[n].distance(at) < l[n-1].distance(at):
		return l[n]
	default:
		return l[n-1]
	}
}

// around returns the slots due nearest to at, up to most before it and most after it.
func (l dueList) around(at time.Time, most int) dueList {
	n := l.countUntil(at)
	return slices.Clone(l[max(n-most, 0):min(n+most, len(l))])
}

// leftLast returns the slot that was left last, nil when there is none.
func (l dueList) leftLast() *slot {
	var last *slot
	for _, s := range l {
		if last == nil || s.left.After(last.left) {
			last = s
		}
	}
	return last
}
