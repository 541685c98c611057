package packet

import (
	"bytes"

	"github.com/gopacket/gopacket/ip4defrag"
)

// maxPending and maxPendingBytes bound the IP packets that wait for missing fragments, and the
// bytes of their fragments.
const (
	maxPending      = 4096
	maxPendingBytes = 32 << 20
)

// Fragments reassembles IP fragments. It is for one goroutine; the zero value is ready.
type Fragments struct {
	// Lost counts fragments whose packets were given up; First is the first of them.
	Lost, First int
	pending     map[fragmentKey]*fragmented
	bytes       int
}

// A fragmentKey says which packet a fragment is of.
type fragmentKey struct {
	from, to string
	id       uint32
}

// fragmented is an IP packet whose fragments are not all there.
type fragmented struct {
	*ip4defrag.IPv4Defragmenter
	count, first, bytes int
}

// add adds a fragment. When it completes its packet, p becomes that packet and add returns true.
func (f *Fragments) add(p *ipPacket, at Mark) bool {
	if f.pending == nil {
		f.pending = map[fragmentKey]*fragmented{}
	}
	key := fragmentKey{string(p.from), string(p.to), p.pieceOf}
	known := f.pending[key]
	if known == nil {
		if len(f.pending) == maxPending || f.bytes > maxPendingBytes {
			f.GiveUp()
		}
		known = &fragmented{IPv4Defragmenter: ip4defrag.NewIPv4Defragmenter(), first: at.Packet}
		f.pending[key] = known
	}
	known.count++
	known.bytes += len(p.piece.Payload)
	f.bytes += len(p.piece.Payload)
	piece := p.piece
	piece.Payload = bytes.Clone(piece.Payload) // the reader reuses its buffer
	piece.SrcIP, piece.DstIP = bytes.Clone(piece.SrcIP), bytes.Clone(piece.DstIP)
	whole, err := known.DefragIPv4WithTimestamp(&piece, at.Time)
	if err != nil || whole == nil {
		return false // an invalid fragment counts as missing
	}
	delete(f.pending, key)
	f.bytes -= known.bytes
	p.payload, p.length, p.id = whole.Payload, len(whole.Payload), 0
	return true
}

// GiveUp drops all pending fragments and counts them as lost.
func (f *Fragments) GiveUp() {
	for _, p := range f.pending {
		f.Lost += p.count
		if f.First == 0 || p.first < f.First {
			f.First = p.first
		}
	}
	clear(f.pending)
	f.bytes = 0
}
