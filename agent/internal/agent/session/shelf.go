package session

import (
	"slices"
	"sort"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// earlyBy is how much before its due time a client may come back and still be taken for the
// one that is due: it may count its interval from when it sent.
const earlyBy = 5 * time.Millisecond

// shelves hold the nameless seats of one address by the step that each expects.
type shelves map[judge.Expectation]shelf

// A shelf is seats in the order in which their clients said they would be back. There can be
// thousands, all of one address.
type shelf []*seat

func (f shelves) add(s *seat) {
	s.place.expects, s.place.due = s.card.expects, s.card.due
	same := f[s.place.expects]
	f[s.place.expects] = slices.Insert(same, same.until(s.place.due), s)
}

// append is add without regard to the order, which sort makes good.
func (f shelves) append(s *seat) {
	s.place.expects, s.place.due = s.card.expects, s.card.due
	f[s.place.expects] = append(f[s.place.expects], s)
}

// removeMoved removes the seats that are not where their cards say.
func (f shelves) removeMoved() {
	for expects, same := range f {
		same = slices.DeleteFunc(same, func(s *seat) bool {
			if !s.moved {
				return false
			}
			s.place = place{}
			return true
		})
		if len(same) > 0 {
			f[expects] = same
		} else {
			delete(f, expects)
		}
	}
}

func (f shelves) sort() {
	for _, same := range f {
		slices.SortStableFunc(same, func(a, b *seat) int { return a.place.due.Compare(b.place.due) })
	}
}

func (f shelves) remove(s *seat) {
	same := f[s.place.expects]
	// Few are due at the very same moment.
	from := sort.Search(len(same), func(i int) bool { return !same[i].place.due.Before(s.place.due) })
	at := from + slices.Index(same[from:], s)
	if same = slices.Delete(same, at, at+1); len(same) > 0 {
		f[s.place.expects] = same
	} else {
		delete(f, s.place.expects)
	}
}

// due returns, of all that are due, the one whose time is nearest, and whether there are some
// that expect different steps.
func (f shelves) due(at time.Time) (nearest *seat, several bool) {
	for _, same := range f {
		s := same.due(at)
		if s == nil {
			continue
		}
		several = nearest != nil
		if nearest == nil || s.away(at) < nearest.away(at) {
			nearest = s
		}
	}
	return nearest, several
}

// leftLast returns the one that was left last, nil when there is none.
func (f shelves) leftLast() *seat {
	var last shelf
	for _, same := range f {
		last = append(last, same.leftLast())
	}
	return last.leftLast()
}

// until returns how many are due by then.
func (f shelf) until(then time.Time) int {
	return sort.Search(len(f), func(i int) bool { return f[i].place.due.After(then) })
}

// due returns, of those that are due, the one whose time is nearest; nil when none is due.
func (f shelf) due(at time.Time) *seat {
	n := f.until(at)
	switch early := n < len(f) && f[n].isDue(at); {
	case n == 0 && !early:
		return nil
	case n == 0 || early && f[n].away(at) < f[n-1].away(at):
		return f[n]
	default:
		return f[n-1]
	}
}

// around returns the seats whose times are nearest, at most so many on either side.
func (f shelf) around(at time.Time, most int) shelf {
	n := f.until(at)
	return slices.Clone(f[max(n-most, 0):min(n+most, len(f))])
}

// leftLast returns the one that was left last, nil when there is none.
func (f shelf) leftLast() *seat {
	var last *seat
	for _, s := range f {
		if last == nil || s.card.left.After(last.card.left) {
			last = s
		}
	}
	return last
}

// isDue reports whether the seat's client had said it would be back by then.
func (s *seat) isDue(at time.Time) bool { return !s.card.due.After(at.Add(earlyBy)) }

// away is how far a moment is from the time at which the seat's client said it would be back.
func (s *seat) away(from time.Time) time.Duration { return s.card.due.Sub(from).Abs() }
