package capture

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/pcapgo"
)

type heldPacket struct {
	info gopacket.CaptureInfo
	data []byte
}

// readAll writes what the source has until it is stopped.
func (l *Live) readAll() {
	for {
		a, err := l.source.read()
		if err != nil {
			l.readFailed(err)
			return
		}
		l.take(&a)
	}
}

func (l *Live) readFailed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing && l.failed == nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the system gives no more packets")
		}
		l.failed = fmt.Errorf("cannot capture: %w", err)
	}
}

// take writes a packet, if it is one of a connection that was made here.
func (l *Live) take(a *livePacket) {
	seg, what := decode(packet{mark: Mark{Packet: 1, Time: a.info.Timestamp}, link: liveLink, data: a.data, cut: a.info.Length - a.info.CaptureLength}, nil)
	if what != isSegment {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fromAgent := seg.src.Port() == l.options.Port
	f, mine := l.ports[seg.dst.Port()]
	if !fromAgent || !mine {
		fromAgent = false
		f, mine = l.ports[seg.src.Port()]
	}
	if !mine || l.recent.again(&seg, a) {
		return
	}
	f.see(&seg, fromAgent)
	l.add(a)
	if f.over() {
		select {
		case l.ended <- struct{}{}:
		default: // somebody is told already
		}
	}
}

// add writes a packet and, before its first, the interface.
func (l *Live) add(a *livePacket) {
	index, known := l.faces[a.face]
	if !known && l.failed == nil {
		var err error
		if index, err = l.out.AddInterface(l.face(a.name)); err != nil {
			l.failed = fmt.Errorf("cannot write the capture: %w", err)
			return
		}
		l.faces[a.face] = index
	}
	a.info.InterfaceIndex = index
	l.write(&heldPacket{info: a.info, data: a.data})
}

// write writes the packet that is held, and holds the next one; nil is none.
func (l *Live) write(next *heldPacket, comments ...string) {
	last := l.held
	l.held = next
	if last == nil || l.failed != nil {
		return
	}
	err := l.out.WritePacketWithOptions(last.info, last.data, pcapgo.NgPacketOptions{Comments: comments})
	if err == nil {
		err = l.out.Flush()
	}
	if err != nil {
		l.failed = fmt.Errorf("cannot write the capture: %w", err)
	}
}

// linger waits for the end of the connections.
func (l *Live) linger() {
	timeout := time.After(Linger)
	for !l.allOver() {
		select {
		case <-l.ended:
		case <-timeout:
			return
		}
	}
}

func (l *Live) allOver() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.ports {
		if !f.over() {
			return false
		}
	}
	return true
}

const (
	// stackTime is the longest time from a packet on one interface to the same packet on
	// another, such as a bridge and its port, a bond, a VLAN. A packet that is sent again has
	// another time stamp of TCP, or comes later.
	stackTime = 10 * time.Millisecond
	// recentPackets is how many packets are compared.
	recentPackets = 64
)

// A sighting is a packet on one interface.
type sighting struct {
	src, dst           netip.AddrPort
	seq, ack, clock    uint32
	syn, fin, rst, get bool
	wire               int
	payload            uint64
}

// recent are the last packets that were seen, and where.
type recent struct {
	seed maphash.Seed
	ring [recentPackets]struct {
		sighting
		face int
		at   time.Time
	}
	next int
}

// again reports whether a packet was seen a moment ago on another interface.
func (r *recent) again(s *segment, a *livePacket) bool {
	if r.seed == (maphash.Seed{}) {
		r.seed = maphash.MakeSeed()
	}
	now := sighting{
		src: s.src, dst: s.dst, seq: s.seq, ack: s.ack, clock: s.clock, syn: s.syn, fin: s.fin, rst: s.rst, get: s.acks,
		wire: s.wire, payload: maphash.Bytes(r.seed, s.payload),
	}
	for i := range r.ring {
		old := &r.ring[i]
		if old.sighting == now && old.face != a.face && a.info.Timestamp.Sub(old.at).Abs() <= stackTime {
			return true
		}
	}
	last := &r.ring[r.next]
	last.sighting, last.face, last.at = now, a.face, a.info.Timestamp
	r.next = (r.next + 1) % recentPackets
	return false
}
