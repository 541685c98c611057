package capture

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
)

// How long connections are kept of which it is not known whether they are wanted, in bytes of
// payload: of one, and of all together.
const (
	undecidedBytes    = 256 << 10
	undecidedAllBytes = 32 << 20
)

// An assembler gathers the packets of each pair of ends. What is not wanted it only counts.
type assembler struct {
	capture *Capture
	opts    Options
	pairs   map[ends]*pair
	order   []*pair // in the order of their first packets
	cut     fragments
	// held is what all pairs hold, and undecided what those do of which it is not known
	// whether they are wanted, in bytes.
	held, undecided int
	last            map[int]Mark // by interface
}

// ends are the two ends of a connection, the lower first.
type ends struct{ low, high netip.AddrPort }

func endsOf(s *segment) ends {
	if s.src.Compare(s.dst) < 0 {
		return ends{s.src, s.dst}
	}
	return ends{s.dst, s.src}
}

// A pair is two ends and the packets between them, of one connection or of several that
// followed one another.
type pair struct {
	ends     ends
	segments []segment
	payload  int // bytes of it that are held
	state    wanted
	opened   int    // connections that were opened, as far as they are not held
	syn      uint32 // the number of the last that was
}

// wanted says whether a pair is kept.
type wanted uint8

const (
	undecided wanted = iota
	kept
	foreign
)

func newAssembler(c *Capture, opts Options) *assembler {
	return &assembler{capture: c, opts: opts, pairs: map[ends]*pair{}, last: map[int]Mark{}}
}

// add takes the next packet of the file.
func (a *assembler) add(p packet) error {
	a.watchClock(p)
	s, what := decode(p, &a.cut)
	skipped := &a.capture.Skipped
	switch what {
	case isOtherLink:
		if skipped.Link++; skipped.FirstLink == 0 {
			skipped.FirstLink, skipped.LinkName = p.mark.Packet, linkName(p.link)
		}
	case isNotTCP:
		skipped.NotTCP++
		if name := tunnel(p); name != "" {
			if skipped.Tunnels == nil {
				skipped.Tunnels, skipped.FirstTunnel = map[string]int{}, p.mark.Packet
			}
			skipped.Tunnels[name]++
		}
	case isFragment: // counted at the end, when it is known what is missing
	case isUnreadable:
		skipped.Unreadable++
	case isSegment:
		if a.opts.Port == 0 || s.src.Port() == a.opts.Port || s.dst.Port() == a.opts.Port {
			return a.take(s)
		}
	}
	return nil
}

// watchClock notes where the times of one interface go back. Different interfaces have queues
// of their own, so that their packets may be written in any order.
func (a *assembler) watchClock(p packet) {
	back := &a.capture.Backwards
	last := a.last[p.face]
	if by := last.Time.Sub(p.mark.Time); !last.IsZero() && by > OrderTolerance {
		if back.Count++; back.Count == 1 {
			back.Packet = p.mark.Packet
		}
		back.By = max(back.By, by)
	}
	a.last[p.face] = p.mark
}

// take adds a segment to its pair.
func (a *assembler) take(s segment) error {
	if len(s.payload) < s.wire && a.capture.FirstCut == 0 {
		a.capture.FirstCut = s.mark.Packet
	}
	key := endsOf(&s)
	p := a.pairs[key]
	if p == nil {
		if len(a.pairs) == MaxConns {
			a.forget()
		}
		if len(a.pairs) == MaxConns {
			return fmt.Errorf("more than %d TCP connections; give --port, or a part of the capture", MaxConns)
		}
		p = &pair{ends: key}
		if a.opts.Wanted == nil || a.opts.Port != 0 {
			p.state = kept
		}
		a.pairs[key] = p
		a.order = append(a.order, p)
	}
	if p.state != kept && a.opts.Wanted(s.payload) {
		switch p.state {
		case undecided:
			a.undecided -= p.bytes()
		case foreign: // its beginning is lost, and that it has none will show
			a.order = append(a.order, p)
		}
		p.state = kept
	}
	if p.state == foreign {
		p.count(&s)
		return nil
	}
	s.payload = bytes.Clone(s.payload) // the reader's buffer is used again
	p.segments = append(p.segments, s)
	p.payload += len(s.payload)
	cost := heldPerSegment + len(s.payload)
	a.held += cost
	if p.state == undecided {
		a.undecided += cost
		a.thin(p)
	}
	if a.held > MaxHeldBytes {
		return fmt.Errorf("more than %d MiB of TCP packets; give --port, or a part of the capture", MaxHeldBytes>>20)
	}
	return nil
}

// bytes is what a pair holds.
func (p *pair) bytes() int { return p.payload + heldPerSegment*len(p.segments) }

// count counts the connections of a pair that is not kept.
func (p *pair) count(s *segment) {
	if s.syn && !s.acks && (p.opened == 0 || s.seq != p.syn) {
		p.opened++
		p.syn = s.seq
	}
}

// thin decides about pairs that hold too much, first those that began first; those without
// any payload, which hold little, only when that does not do.
func (a *assembler) thin(p *pair) {
	if p.bytes() > undecidedBytes {
		a.decide(p)
	}
	for _, empty := range []bool{false, true} {
		if a.undecided <= undecidedAllBytes {
			return
		}
		rest := a.order[:0]
		for _, p := range a.order {
			if p.state == undecided && (p.payload == 0) == empty && a.undecided > undecidedAllBytes/2 {
				a.decide(p)
			}
			if p.state != foreign {
				rest = append(rest, p)
			} // the map still knows it
		}
		clear(a.order[len(rest):])
		a.order = rest
	}
}

// decide keeps an undecided pair, or counts it only.
func (a *assembler) decide(p *pair) {
	a.undecided -= p.bytes()
	if a.wants(p) {
		p.state = kept
		return
	}
	a.drop(p)
}

// wants looks at everything that a pair has sent: what marks a message may have been cut in two
// by packets.
func (a *assembler) wants(p *pair) bool {
	var sent [2][]byte
	for i := range p.segments {
		side := 0
		if p.segments[i].src == p.ends.high {
			side = 1
		}
		sent[side] = append(sent[side], p.segments[i].payload...)
	}
	return a.opts.Wanted(sent[0]) || a.opts.Wanted(sent[1])
}

func (a *assembler) drop(p *pair) {
	a.held -= p.bytes()
	p.state = foreign
	for i := range p.segments {
		p.count(&p.segments[i])
	}
	p.segments, p.payload = nil, 0
}

// forget makes room for other pairs by those that are not wanted, as far as is known by now.
func (a *assembler) forget() {
	rest := a.order[:0]
	for _, p := range a.order {
		if p.state == undecided {
			a.decide(p)
		}
		if p.state != foreign {
			rest = append(rest, p)
		}
	}
	clear(a.order[len(rest):])
	a.order = rest
	for key, p := range a.pairs {
		if p.state == foreign {
			a.capture.Foreign += max(1, p.opened)
			delete(a.pairs, key)
		}
	}
}

// finish works out the connections when all packets are there. An undecided pair is kept when
// one of its ends is one of a pair that is: it may be of the same agent.
func (a *assembler) finish(ctx context.Context) error {
	c := a.capture
	a.cut.giveUp()
	c.Skipped.Fragments, c.Skipped.FirstFragment = a.cut.lost, a.cut.first
	common := map[netip.AddrPort]bool{}
	for _, p := range a.order {
		if p.state == undecided && a.wants(p) {
			p.state = kept
		}
		if p.state == kept {
			common[p.ends.low], common[p.ends.high] = true, true
		}
	}
	for _, p := range a.order {
		if p.state == undecided && !common[p.ends.low] && !common[p.ends.high] {
			a.drop(p)
		}
		if p.state != foreign {
			c.Conns = append(c.Conns, p.split()...)
			delete(a.pairs, p.ends)
		}
		p.segments = nil
	}
	for _, p := range a.pairs {
		c.Foreign += max(1, p.opened)
	}
	a.pairs, a.order = nil, nil
	sortConns(c.Conns)
	for i, conn := range c.Conns {
		if i%lookEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		conn.build()
	}
	return nil
}
