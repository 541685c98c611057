package sequence

// A round is the step ids from first to last, over and over. All 64-bit ids are allowed, so
// nothing here may count the ids of a round: there can be 1<<64 of them.
type round struct{ first, last int64 }

func (r round) contains(id int64) bool { return r.first <= id && id <= r.last }

// after returns the id that follows one of the round.
func (r round) after(id int64) int64 {
	if id == r.last {
		return r.first
	}
	return id + 1
}

// at returns the id in the given place, which is 0 for the first.
func (r round) at(place uint64) int64 {
	if span := uint64(r.last) - uint64(r.first); place > span {
		place %= span + 1 // below place, so it does not wrap
	}
	return int64(uint64(r.first) + place)
}
