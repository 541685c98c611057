package capture

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
	"sort"
	"time"
)

// A piece is the bytes of one packet at their offset in the stream.
type piece struct {
	offset int64
	data   []byte
	mark   Mark
	acked  int64
	// order is the priority among pieces with the same bytes: by time, damaged ones last.
	order   int64
	damaged bool
	// probe says that it is one byte, which in the probe of a keep-alive may have any value.
	probe bool
}

func (p *piece) end() int64 { return p.offset + int64(len(p.data)) }

const damagedOrder = 1 << 40

func newPiece(s *segment, order int) piece {
	p := piece{offset: s.offset, data: s.Payload, mark: s.Mark, acked: s.acked, order: int64(order),
		damaged: s.Damaged, probe: s.Length == 1}
	if p.damaged {
		p.order += damagedOrder
	}
	if p.offset < 0 {
		// The probe of a keep-alive may precede the first byte, RFC 9293 section 3.8.4.
		skip := min(-p.offset, int64(len(p.data)))
		p.offset, p.data = p.offset+skip, p.data[skip:]
	}
	return p
}

// cover returns the pieces with data by offset, and the same without overlaps: where pieces
// overlap, the one with the lowest order counts. Its time is linear in the number of bytes for
// any overlap.
func cover(pieces []piece) (sorted, covered []piece) {
	pieces = slices.DeleteFunc(pieces, func(p piece) bool { return len(p.data) == 0 })
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(a.offset, b.offset) })
	var open pieceHeap
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
		covered = append(covered, part)
		at = to
	}
	return pieces, covered
}

// pieceHeap is a heap with the piece of the lowest order in front.
type pieceHeap []*piece

func (h pieceHeap) Len() int           { return len(h) }
func (h pieceHeap) Less(i, j int) bool { return h[i].order < h[j].order }
func (h pieceHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *pieceHeap) Push(x any)        { *h = append(*h, x.(*piece)) }
func (h *pieceHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// compare notes pieces that differ from the bytes that count, and damaged ones that count.
func (h *half) compare(pieces, covered []piece) {
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
			h.Conflicts = append(h.Conflicts, Conflict{Packet: p.mark.Packet, Earlier: earlier})
		}
		if damaged {
			h.Damaged = append(h.Damaged, Damage{Packet: p.mark.Packet, end: p.end(), at: p.mark.Time})
		}
	}
}

// minRetransmit is the shortest time after which a system sends bytes again.
const minRetransmit = 20 * time.Millisecond

// checkDamage finds the damaged packets that were acknowledged at once.
func (h *half) checkDamage(other *half) {
	for i := range h.Damaged {
		d := &h.Damaged[i]
		acked, ok := other.acknowledges(d.end)
		by := acked.Time.Sub(d.at)
		d.AckedAtOnce = ok && by >= -OrderTolerance && by <= minRetransmit
	}
}
