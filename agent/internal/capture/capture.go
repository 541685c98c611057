// Package capture reads and writes packet captures: what went over the wire between clients
// and an agent.
//
// Read takes a file of packets, pcap or pcapng, and returns its TCP connections, each as two
// streams of bytes with the packet and the time that completed every byte, and with all that
// is missing, damaged or contradictory. It judges nothing. Record writes the packets of this
// machine to a file while they go by.
//
// Files are not trusted: every length is bounded, and what cannot be read is an error that
// names the file and the packet.
package capture

import (
	"fmt"
	"net/netip"
	"time"
)

// Limits of a capture that is read.
const (
	// MaxHeldBytes is how much of a capture is kept in memory, in bytes: its TCP packets and
	// what is known about each.
	MaxHeldBytes = 512 << 20
	// MaxConns is the number of TCP connections in one capture.
	MaxConns = 1 << 18
	// heldPerSegment is what a TCP packet costs besides its payload, in bytes.
	heldPerSegment = 192
)

// Tolerances of the clock that stamped the packets.
const (
	// OrderTolerance is how far the times of packets may go against the order in which
	// things must have happened: several queues or interfaces stamp by themselves.
	OrderTolerance = 10 * time.Millisecond
	// ClockTolerance is how far a packet's time may be from what its sender's own clock
	// says, the timestamp option of RFC 7323: packets wait in queues and on radio links.
	ClockTolerance = 150 * time.Millisecond
)

// A Capture is what a file holds.
type Capture struct {
	// Name is the file's name, for errors and reports.
	Name string
	// Format is pcap or pcapng; Gzip says that it was compressed.
	Format string
	Gzip   bool
	// Application and Comments are what the writer says of the capture, in the order in
	// which it stands in the file; empty in pcap.
	Application string
	Comments    []string
	// Links are the link types of the interfaces, each once.
	Links []string
	// Packets is the number of packets; First and Last are their earliest and latest times.
	Packets     int
	First, Last time.Time
	// Dropped is how many packets the writer says it lost; DropsKnown tells 0 from unknown.
	Dropped    uint64
	DropsKnown bool
	// Skipped counts packets that are in no connection.
	Skipped Skipped
	// Backwards are the places where time goes back by more than OrderTolerance.
	Backwards []Backwards
	// Conns are the TCP connections in the order of their first packets.
	Conns []*Conn
}

// Skipped counts packets that are in no connection, by why.
type Skipped struct {
	// Link: the link type is not known. NotTCP: something else than TCP over IP.
	Link, NotTCP int
	// Fragments are pieces of TCP packets that IP has cut; they are not put together.
	Fragments int
	// Unreadable: TCP, or what looks like it, that makes no sense or is cut off.
	Unreadable int
	// FirstLink and FirstFragment are the first packets of their kinds, 0 for none.
	FirstLink, FirstFragment int
}

// A Backwards is a packet that was stamped before the one in front of it in the file.
type Backwards struct {
	Packet int
	By     time.Duration
}

// A Mark is a packet and its time.
type Mark struct {
	// Packet counts the packets of the file from 1, as Wireshark does; 0 is no packet.
	Packet int
	Time   time.Time
}

// IsZero reports whether there is no packet.
func (m Mark) IsZero() bool { return m.Packet == 0 }

// A Conn is one TCP connection.
type Conn struct {
	// Up goes from the one that opened the connection to the other, Down the other way. When
	// the opening is not in the capture, Up is the direction of the first packet.
	Up, Down *Stream
	// Opened is the first packet that asks for the connection (SYN), zero when it is not in
	// the capture. Accepted is the first that agrees to it (SYN and ACK).
	Opened, Accepted Mark
	// First and Last are the first and last packets.
	First, Last Mark
	// Contradictions say where times cannot be true.
	Contradictions []Contradiction
}

// A Contradiction is a packet whose time cannot be true.
type Contradiction struct {
	// Packet is the packet whose time it is; By is how far the time is off, at least.
	Packet int
	By     time.Duration
	// Problem says what contradicts it, in lower case and without a full stop.
	Problem string
}

// A Stream is what one side of a connection sent.
type Stream struct {
	From, To netip.AddrPort
	// Started says that the first byte of Chunks is the first of the stream.
	Started bool
	// Chunks are the bytes, in order; between two of them something is missing.
	Chunks []Chunk
	// Missing are the bytes that are known to have been sent, or to have been received by
	// the other side, and are not in the capture.
	Missing []Missing
	// Conflicts are packets that carry other bytes than a packet before, for the same place.
	Conflicts []Conflict
	// Damaged are packets whose TCP checksum is wrong, and whose bytes no other packet has.
	Damaged []int
	// FIN is the packet that ends the stream, RST the one that breaks the connection off.
	FIN, RST Mark

	segments []segment
}

// A Chunk is bytes that follow one another with nothing missing.
type Chunk struct {
	// Offset is the place of the first byte in the stream, counted from 0.
	Offset int64
	Data   []byte
	// arrivals are the marks of ranges, by where they begin in Data.
	arrivals []arrival
}

type arrival struct {
	from int
	mark Mark
}

// At returns the packet that completed the byte at i and all before it in the chunk: the
// moment at which a reader of the stream could have read it.
func (c Chunk) At(i int) Mark {
	low, high := 0, len(c.arrivals)
	for high-low > 1 {
		if middle := (low + high) / 2; c.arrivals[middle].from <= i {
			low = middle
		} else {
			high = middle
		}
	}
	return c.arrivals[low].mark
}

// A Missing is a range of bytes that are not in the capture.
type Missing struct {
	Offset, Bytes int64
	// Cut says that a packet was there and was cut off when it was captured (snaplen).
	Cut bool
	// Near is the packet after which, or at which, it shows.
	Near int
}

// A Conflict is two packets that carry different bytes for the same place in a stream.
type Conflict struct {
	// Packet came later than Earlier, whose bytes are kept.
	Packet, Earlier int
}

// A FileError says why a file cannot be read, or not to its end.
type FileError struct {
	Name string
	// Packet is the packet at which it happened, from 1; 0 when it was before the first.
	Packet int
	// Offset is about how many bytes of the file, uncompressed, had been read.
	Offset int64
	// Problem says what is wrong, in lower case and without a full stop.
	Problem string
}

// Error names file, packet and offset.
func (e *FileError) Error() string {
	if e.Packet == 0 {
		return fmt.Sprintf("%s: %s", e.Name, e.Problem)
	}
	return fmt.Sprintf("%s: packet %d, near byte %d: %s", e.Name, e.Packet, e.Offset, e.Problem)
}
