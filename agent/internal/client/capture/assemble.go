package capture

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/capture/packet"
)

// undecidedBytes and undecidedAllBytes bound the payload that is held of one pair, and of all
// pairs, while it is not known whether they are wanted.
const (
	undecidedBytes    = 256 << 10
	undecidedAllBytes = 32 << 20
)

// An assembler collects the segments of each pair of ends. Of pairs that are not wanted it
// counts the connections only.
type assembler struct {
	capture   *Capture
	opts      Options
	pairs     map[ends]*pair
	order     []*pair // those that are not foreign, in the order of their first packets
	fragments packet.Fragments
	// held is the memory of all pairs, undecided that of the undecided ones, in bytes.
	held, undecided int
	last            map[int]Mark // of each interface
}

// ends are the two ends of a connection, the lower first.
type ends struct{ low, high netip.AddrPort }

func endsOf(s *segment) ends {
	if s.Src.Compare(s.Dst) < 0 {
		return ends{s.Src, s.Dst}
	}
	return ends{s.Dst, s.Src}
}

// A pair is the segments between two ends, of one connection or of successive ones.
type pair struct {
	ends     ends
	segments []segment
	payload  int // bytes in segments
	state    wanted
	opened   int    // connections of a foreign pair
	syn      uint32 // the sequence number of the last SYN of a foreign pair
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

// add adds the next frame of the file.
func (a *assembler) add(f packet.Frame) error {
	a.checkOrder(f)
	s, kind := packet.Decode(f, &a.fragments)
	skipped := &a.capture.Skipped
	switch kind {
	case packet.OtherLink:
		if skipped.Link++; skipped.FirstLink == 0 {
			skipped.FirstLink, skipped.LinkName = f.Mark.Packet, packet.LinkName(f.Link)
		}
	case packet.Other:
		skipped.NotTCP++
		if name := packet.Tunnel(f); name != "" {
			if skipped.Tunnels == nil {
				skipped.Tunnels, skipped.FirstTunnel = map[string]int{}, f.Mark.Packet
			}
			skipped.Tunnels[name]++
		}
	case packet.Fragment: // counted by finish
	case packet.Unreadable:
		skipped.Unreadable++
	case packet.TCP:
		if a.opts.Port == 0 || s.Src.Port() == a.opts.Port || s.Dst.Port() == a.opts.Port {
			return a.addSegment(segment{Segment: s})
		}
	}
	return nil
}

// checkOrder notes where the times of one interface go back. Interfaces have queues of their
// own, so their packets may be written in any order.
func (a *assembler) checkOrder(f packet.Frame) {
	back := &a.capture.Backwards
	last := a.last[f.Interface]
	if by := last.Time.Sub(f.Mark.Time); !last.IsZero() && by > OrderTolerance {
		if back.Count++; back.Count == 1 {
			back.Packet = f.Mark.Packet
		}
		back.By = max(back.By, by)
	}
	a.last[f.Interface] = f.Mark
}

// addSegment adds a segment to its pair.
func (a *assembler) addSegment(s segment) error {
	if len(s.Payload) < s.Length && a.capture.FirstCut == 0 {
		a.capture.FirstCut = s.Mark.Packet
	}
	key := endsOf(&s)
	p := a.pairs[key]
	if p == nil {
		most := cmp.Or(a.opts.Conns, MaxConns)
		if len(a.pairs) == most {
			a.evictForeign()
		}
		if len(a.pairs) == most {
			return fmt.Errorf("more than %d TCP connections; give --port, or a part of the capture", most)
		}
		p = &pair{ends: key}
		if a.opts.Wanted == nil || a.opts.Port != 0 {
			p.state = kept
		}
		a.pairs[key] = p
		a.order = append(a.order, p)
	}
	if p.state != kept && a.opts.Wanted(s.Payload) {
		if p.state == undecided {
			a.undecided -= p.bytes()
		} else { // its first segments were dropped, which shows as missing bytes
			a.order = append(a.order, p)
		}
		p.state = kept
	}
	if p.state == foreign {
		p.countOpened(&s)
		return nil
	}
	s.Payload = bytes.Clone(s.Payload) // the reader reuses its buffer
	p.segments = append(p.segments, s)
	p.payload += len(s.Payload)
	cost := heldPerSegment + len(s.Payload)
	a.held += cost
	if p.state == undecided {
		a.undecided += cost
		a.boundUndecided(p)
	}
	if a.held > MaxHeldBytes {
		return fmt.Errorf("more than %d MiB of TCP packets; give --port, or a part of the capture", MaxHeldBytes>>20)
	}
	return nil
}

// bytes is the memory of a pair.
func (p *pair) bytes() int { return p.payload + heldPerSegment*len(p.segments) }

// countOpened counts the connections of a foreign pair.
func (p *pair) countOpened(s *segment) {
	if s.SYN && !s.ACK && (p.opened == 0 || s.Seq != p.syn) {
		p.opened++
		p.syn = s.Seq
	}
}

// boundUndecided decides p when it holds too much, and the oldest pairs when all hold too much:
// first those with payload, then the others, which hold little.
func (a *assembler) boundUndecided(p *pair) {
	if p.bytes() > undecidedBytes {
		a.decide(p)
	}
	for _, empty := range []bool{false, true} {
		if a.undecided <= undecidedAllBytes {
			return
		}
		for _, p := range a.order {
			if p.state == undecided && (p.payload == 0) == empty && a.undecided > undecidedAllBytes/2 {
				a.decide(p)
			}
		}
		a.removeForeign()
	}
}

// removeForeign removes foreign pairs from the order; the map still has them.
func (a *assembler) removeForeign() {
	a.order = slices.DeleteFunc(a.order, func(p *pair) bool { return p.state == foreign })
}

// decide makes an undecided pair kept or foreign.
func (a *assembler) decide(p *pair) {
	a.undecided -= p.bytes()
	if a.wants(p) {
		p.state = kept
		return
	}
	a.drop(p)
}

// wants checks the whole payload of a pair: packets may split the bytes that mark a message.
func (a *assembler) wants(p *pair) bool {
	var sent [2][]byte
	for i := range p.segments {
		side := 0
		if p.segments[i].Src == p.ends.high {
			side = 1
		}
		sent[side] = append(sent[side], p.segments[i].Payload...)
	}
	return a.opts.Wanted(sent[0]) || a.opts.Wanted(sent[1])
}

func (a *assembler) drop(p *pair) {
	a.held -= p.bytes()
	p.state = foreign
	for i := range p.segments {
		p.countOpened(&p.segments[i])
	}
	p.segments, p.payload = nil, 0
}

// evictForeign makes room for new pairs: it decides all and removes the foreign ones.
func (a *assembler) evictForeign() {
	for _, p := range a.order {
		if p.state == undecided {
			a.decide(p)
		}
	}
	a.removeForeign()
	for key, p := range a.pairs {
		if p.state == foreign {
			a.capture.Foreign += max(1, p.opened)
			delete(a.pairs, key)
		}
	}
}

// finish reassembles the connections after the last frame. An undecided pair is kept when it
// shares an end with a kept one: it may be of the same agent.
func (a *assembler) finish(ctx context.Context) error {
	c := a.capture
	a.fragments.GiveUp()
	c.Skipped.Fragments, c.Skipped.FirstFragment = a.fragments.Lost, a.fragments.First
	shared := map[netip.AddrPort]bool{}
	for _, p := range a.order {
		if p.state == undecided && a.wants(p) {
			p.state = kept
		}
		if p.state == kept {
			shared[p.ends.low], shared[p.ends.high] = true, true
		}
	}
	var flows []*flow
	for _, p := range a.order {
		if p.state == undecided && !shared[p.ends.low] && !shared[p.ends.high] {
			a.drop(p)
		}
		if p.state != foreign {
			flows = append(flows, p.split()...)
			delete(a.pairs, p.ends)
		}
		p.segments = nil
	}
	for _, p := range a.pairs {
		c.Foreign += max(1, p.opened)
	}
	a.pairs, a.order = nil, nil
	sortFlows(flows)
	for i, f := range flows {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		c.Conns = append(c.Conns, f.reassemble())
		flows[i] = nil
	}
	return nil
}
