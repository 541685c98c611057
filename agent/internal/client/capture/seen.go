package capture

import "sort"

// A Seen is what one packet tells of its sender.
type Seen struct {
	Mark Mark
	// Begin and End are the offsets of its bytes in its stream; of a packet without bytes, both
	// are where its sender stood: it had sent nothing beyond.
	Begin, End int64
	// Heard is how much of the other stream its sender had received, -1 for not known.
	Heard int64
	// Before is the index of the packet that the sender sent before this one, by the count that
	// many systems keep for each connection in the identification of IPv4; -1 when the capture
	// lacks it, or does not tell.
	Before int
	// Clock is the sender's, in milliseconds, when HasClock says so and Conn.UpClock or
	// Conn.DownClock that it can be believed.
	Clock    uint32
	HasClock bool

	furthest int64 // End of this packet or of one before it
}

// Pure reports whether the packet has no bytes.
func (s *Seen) Pure() bool { return s.Begin == s.End }

// see lists the packets of the stream. A reset says too little of its sender: its numbers may
// be anything.
func (s *Stream) see() {
	s.Seen = make([]Seen, 0, len(s.segments))
	furthest, last := int64(0), int64(0)
	counts := make([]int64, 0, len(s.segments)) // the identifications, which wrap around, counted on
	known := map[int64]int{}
	for i := range s.segments {
		seg := &s.segments[i]
		if seg.damaged || seg.rst {
			continue
		}
		furthest = max(furthest, seg.at+int64(seg.wire))
		count := int64(0)
		if seg.id != 0 {
			count = last + int64(int16(seg.id-uint16(last)))
			if len(known) == 0 {
				count += 1 << 32 // never 0
			}
			if last = count; known[count] == 0 {
				known[count] = len(s.Seen) + 1
			}
		}
		counts = append(counts, count)
		s.Seen = append(s.Seen, Seen{Mark: seg.mark, Begin: seg.at, End: seg.at + int64(seg.wire), Heard: seg.heard,
			Clock: seg.clock, HasClock: seg.hasClock, furthest: furthest})
	}
	for i, count := range counts {
		s.Seen[i].Before = -1
		if count != 0 {
			s.Seen[i].Before = known[count-1] - 1
		}
	}
}

// FirstWith returns the index in Seen of the first packet that has the byte at an offset, or
// bytes behind it; len(Seen) when none has.
func (s *Stream) FirstWith(offset int64) int {
	return sort.Search(len(s.Seen), func(i int) bool { return s.Seen[i].furthest > offset })
}

// FirstHeard returns the index in Seen of the first packet whose sender had received the other
// stream up to an offset; len(Seen) when none had.
func (s *Stream) FirstHeard(offset int64) int {
	return sort.Search(len(s.Seen), func(i int) bool { return s.Seen[i].Heard >= offset })
}

// SentFirst reports whether the first packet with the byte at an offset is certain to be the
// one in which the sender sent it first: every packet is there that was sent since one that
// says that nothing beyond had been sent.
func (s *Stream) SentFirst(offset int64) bool {
	const most = 64 // packets looked at
	i := s.FirstWith(offset)
	for range most {
		if i == len(s.Seen) {
			return false
		}
		before := s.Seen[i].Before
		if before < 0 || before >= i { // missing, or overtaken
			return false
		}
		i = before
		if one := &s.Seen[i]; one.Pure() && one.Begin <= offset {
			return true
		}
	}
	return false
}

// NotBefore returns the last packet of which it is certain that the sender had not sent the
// byte at an offset; false when there is none.
func (s *Stream) NotBefore(offset int64) (Seen, bool) {
	for i := min(s.FirstWith(offset), len(s.Seen)) - 1; i >= 0; i-- {
		if one := s.Seen[i]; one.Pure() && one.Begin <= offset {
			return one, true
		}
	}
	return Seen{}, false
}
