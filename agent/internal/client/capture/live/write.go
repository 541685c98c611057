package live

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket/pcapgo"

	"github.com/stepagent/stepagent/agent/internal/client/capture/packet"
)

// readAll writes the packets of the source until it is stopped.
func (l *Recorder) readAll() {
	var err error
	for err == nil {
		var p received
		if p, err = l.source.read(); err == nil {
			l.record(&p)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || l.failed != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("the system gives no more packets")
	}
	l.failed = fmt.Errorf("cannot capture: %w", err)
}

// record writes a packet if it is of a connection that was made with Dial.
func (l *Recorder) record(p *received) {
	s, kind := packet.Decode(packet.Frame{Link: linkType, Data: p.data, Cut: p.info.Length - p.info.CaptureLength}, nil)
	if kind != packet.TCP {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fromAgent := slices.Contains(l.agents, s.Src)
	f, ours := l.ports[s.Dst.Port()]
	if !fromAgent || !ours {
		fromAgent = false
		f, ours = l.ports[s.Src.Port()]
	}
	if !ours || l.recent.duplicate(&s, p) {
		return
	}
	f.observe(&s, fromAgent)
	l.write(p)
	if f.ended() {
		select {
		case l.ended <- struct{}{}:
		default: // there is a token already
		}
	}
}

// write writes a packet and, before its first, the interface.
func (l *Recorder) write(p *received) {
	index, known := l.faces[p.face]
	if !known && l.failed == nil {
		var err error
		if index, err = l.out.AddInterface(l.describe(p.name)); err != nil {
			l.failed = fmt.Errorf("cannot write the capture: %w", err)
			return
		}
		l.faces[p.face] = index
	}
	p.info.InterfaceIndex = index
	l.writeHeld(p)
}

// writeHeld writes the held packet and holds the next one; nil is none.
func (l *Recorder) writeHeld(next *received, comments ...string) {
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

// linger waits for the end of the connections, at most Linger.
func (l *Recorder) linger() {
	timeout := time.After(Linger)
	for !l.allEnded() {
		select {
		case <-l.ended:
		case <-timeout:
			return
		}
	}
}

func (l *Recorder) allEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.ports {
		if !f.ended() {
			return false
		}
	}
	return true
}

const (
	// stackTime bounds the time between a packet on one interface and the same packet on another,
	// such as a bridge and its port, a bond or a VLAN. A retransmission has another timestamp, or
	// comes later.
	stackTime = 10 * time.Millisecond
	// recentPackets is how many packets are compared.
	recentPackets = 64
)

// recent holds the last packets and their interfaces, to find duplicates.
type recent struct {
	seed maphash.Seed
	ring [recentPackets]struct {
		hash uint64
		face int
		at   time.Time
	}
	next int
}

// duplicate reports whether a packet was seen a moment ago on another interface.
func (r *recent) duplicate(s *packet.Segment, p *received) bool {
	if r.seed == (maphash.Seed{}) {
		r.seed = maphash.MakeSeed()
	}
	payload := maphash.Bytes(r.seed, s.Payload)
	hash := maphash.Comparable(r.seed, struct {
		src, dst            netip.AddrPort
		seq, ack, clock     uint32
		syn, fin, rst, acks bool
		length              int
		payload             uint64
	}{s.Src, s.Dst, s.Seq, s.Ack, s.Clock, s.SYN, s.FIN, s.RST, s.ACK, s.Length, payload})
	for i := range r.ring {
		old := &r.ring[i]
		if old.hash == hash && old.face != p.face && p.info.Timestamp.Sub(old.at).Abs() <= stackTime {
			return true
		}
	}
	last := &r.ring[r.next]
	last.hash, last.face, last.at = hash, p.face, p.info.Timestamp
	r.next = (r.next + 1) % recentPackets
	return false
}
