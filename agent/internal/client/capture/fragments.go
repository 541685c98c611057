package capture

import (
	"bytes"

	"github.com/gopacket/gopacket/ip4defrag"
)

// How many packets are waited for at once of which pieces are missing, and how much of them is
// held, in bytes.
const (
	maxPieces      = 4096
	maxPiecesBytes = 32 << 20
)

// fragments puts together what IP has cut. It is for one goroutine.
type fragments struct {
	open map[cutPacket]*pieces
	held int // bytes
	// lost counts pieces of packets that were given up; first is the first of all.
	lost, first int
}

// A cutPacket says which packet a piece is of.
type cutPacket struct {
	from, to string
	id       uint32
}

// pieces are those of one packet.
type pieces struct {
	*ip4defrag.IPv4Defragmenter
	count, first, bytes int
}

// add takes a piece. When it completes its packet, p becomes that packet, and add reports it.
func (f *fragments) add(p *ipPacket, at Mark) bool {
	if f.open == nil {
		f.open = map[cutPacket]*pieces{}
	}
	key := cutPacket{string(p.from), string(p.to), p.pieceOf}
	known := f.open[key]
	if known == nil {
		if len(f.open) == maxPieces || f.held > maxPiecesBytes {
			f.giveUp()
		}
		known = &pieces{IPv4Defragmenter: ip4defrag.NewIPv4Defragmenter(), first: at.Packet}
		f.open[key] = known
	}
	known.count++
	known.bytes += len(p.piece.Payload)
	f.held += len(p.piece.Payload)
	piece := p.piece
	piece.Payload = bytes.Clone(piece.Payload) // the reader's buffer is used again
	piece.SrcIP, piece.DstIP = bytes.Clone(piece.SrcIP), bytes.Clone(piece.DstIP)
	whole, err := known.DefragIPv4WithTimestamp(&piece, at.Time)
	if err != nil || whole == nil {
		return false // a piece that makes no sense is among those that are missing
	}
	delete(f.open, key)
	f.held -= known.bytes
	p.payload, p.wire, p.id = whole.Payload, len(whole.Payload), 0
	return true
}

// giveUp forgets all pieces.
func (f *fragments) giveUp() {
	for _, p := range f.open {
		f.lost += p.count
		if f.first == 0 || p.first < f.first {
			f.first = p.first
		}
	}
	clear(f.open)
	f.held = 0
}
