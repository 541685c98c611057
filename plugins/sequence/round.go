package sequence

// A round is the step ids from first to last, repeated. All 64-bit ids are allowed, so that the number
// of ids can be 1<<64 and does not fit any integer.
type round struct{ first, last int64 }

func (r round) contains(id int64) bool { return r.first <= id && id <= r.last }

// after returns the id that follows id in the round.
func (r round) after(id int64) int64 {
	if id == r.last {
		return r.first
	}
	return id + 1
}

// at returns the id at a position, which is 0 for the first.
func (r round) at(position uint64) int64 {
	if span := uint64(r.last) - uint64(r.first); position > span {
		position %= span + 1 // span < position, so this does not overflow
	}
	return int64(uint64(r.first) + position)
}
