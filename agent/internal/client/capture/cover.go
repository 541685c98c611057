package capture

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
	"sort"
	"time"
)

// A piece is bytes of one packet at their place in the stream.
type piece struct {
	offset int64
	data   []byte
	mark   Mark
	heard  int64
	// order is that of the packets' times, behind all others for those that are damaged.
	order   int64
	damaged bool
	// probe says that it is one byte, as the probes of keep-alives are, which may be any.
	probe bool
}

func (p *piece) end() int64 { return p.offset + int64(len(p.data)) }

const damagedOrder = 1 << 40

func newPiece(seg *segment, order int) piece {
	p := piece{offset: seg.at, data: seg.payload, mark: seg.mark, heard: seg.heard, order: int64(order),
		damaged: seg.damaged, probe: seg.wire == 1}
	if p.damaged {
		p.order += damagedOrder
	}
	if p.offset < 0 {
		// Before the first byte: the probe of a keep-alive, RFC 9293 section 3.8.4.
		skip := min(-p.offset, int64(len(p.data)))
		p.offset, p.data = p.offset+skip, p.data[skip:]
	}
	return p
}

// cover returns pieces without overlaps, in the order of their offsets. Where two packets have
// bytes for the same place, those of the first count, unless it is damaged and the other is
// not; that they are not the same is noted. It takes time in the number of bytes, whatever
// the order of the pieces and however they overlap.
func (s *Stream) cover(pieces []piece) []piece {
	pieces = slices.DeleteFunc(pieces, func(p piece) bool { return len(p.data) == 0 })
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.offset, b.offset) })
	var out []piece
	var open firstPiece
	at := int64(0)
	for i := 0; i < len(pieces) || len(open) > 0; {
		if len(open) == 0 {
			at = pieces[i].offset
		}
		for i < len(pieces) && pieces[i].offset <= at {
			heap.Push(&open, &pieces[i])
			i++
		}
		first := open[0]
		to := first.end()
		if to <= at {
			heap.Pop(&open)
			continue
		}
		if i < len(pieces) {
			to = min(to, pieces[i].offset)
		}
		part := *first
		part.offset, part.data = at, first.data[at-first.offset:to-first.offset]
		out = append(out, part)
		at = to
	}
	s.compare(pieces, out)
	return out
}

// firstPiece is a heap of pieces, of which the one that counts is the first.
type firstPiece []*piece

func (h firstPiece) Len() int           { return len(h) }
func (h firstPiece) Less(i, j int) bool { return h[i].order < h[j].order }
func (h firstPiece) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *firstPiece) Push(x any)        { *h = append(*h, x.(*piece)) }
func (h *firstPiece) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// compare notes the pieces whose bytes do not count and are others, and the damaged ones whose
// bytes do.
func (s *Stream) compare(pieces, covered []piece) {
	for _, p := range pieces {
		i := sort.Search(len(covered), func(i int) bool { return covered[i].end() > p.offset })
		damaged, earlier := false, 0
		for ; i < len(covered) && covered[i].offset < p.end(); i++ {
			c := &covered[i]
			if c.order == p.order {
				damaged = damaged || p.damaged
				continue
			}
			from, to := max(c.offset, p.offset), min(c.end(), p.end())
			if earlier == 0 && !p.damaged && !p.probe &&
				!bytes.Equal(c.data[from-c.offset:to-c.offset], p.data[from-p.offset:to-p.offset]) {
				earlier = c.mark.Packet
			}
		}
		if earlier != 0 {
			s.Conflicts = append(s.Conflicts, Conflict{Packet: p.mark.Packet, Earlier: earlier})
		}
		if damaged {
			s.Damaged = append(s.Damaged, Damage{Packet: p.mark.Packet, end: p.end(), at: p.mark.Time})
		}
	}
}

// soonest is how long a sender waits at least before it sends bytes again, whatever its system.
const soonest = 20 * time.Millisecond

// settleDamage says which damaged packets have been acknowledged at once.
func (s *Stream) settleDamage(other *Stream) {
	for i := range s.Damaged {
		d := &s.Damaged[i]
		acked, ok := other.acknowledges(d.end)
		by := acked.Time.Sub(d.at)
		d.Acked = ok && by >= -OrderTolerance && by <= soonest
	}
}
