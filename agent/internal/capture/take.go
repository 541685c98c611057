package capture

import (
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

type heldPacket struct {
	info gopacket.CaptureInfo
	data []byte
}

// readAll writes what a source has until it is closed.
func (l *Live) readAll(index int, s source) {
	for {
		data, info, err := s.read()
		if err != nil {
			l.readFailed(err)
			return
		}
		info.InterfaceIndex, info.AncillaryData = index, nil
		l.take(s.link, info, data)
	}
}

func (l *Live) readFailed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closing && l.failed == nil && !errors.Is(err, io.EOF) {
		l.failed = fmt.Errorf("cannot capture: %w", err)
	}
}

// take writes a packet, if it is one of a connection that was made here.
func (l *Live) take(link layers.LinkType, info gopacket.CaptureInfo, data []byte) {
	seg, what := decode(packet{mark: Mark{Packet: 1, Time: info.Timestamp}, link: link, data: data, cut: info.Length - info.CaptureLength})
	if what != isSegment {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fromAgent := seg.src.Port() == l.options.Port
	local := seg.src.Port()
	if e, mine := l.ports[seg.dst.Port()]; fromAgent && mine {
		local = seg.dst.Port()
		e.see(&seg, true)
	} else if e, mine := l.ports[local]; mine {
		e.see(&seg, false)
	} else {
		return
	}
	l.write(&heldPacket{info: info, data: data})
	if l.ports[local].over() {
		select {
		case l.ended <- struct{}{}:
		default: // somebody is told already
		}
	}
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
