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
	"sort"
	"time"
)

// Limits of a capture that is read.
const (
	// MaxHeldBytes is how much of a capture is kept in memory, in bytes: the TCP packets of
	// the connections that are wanted, and what is known about each.
	MaxHeldBytes = 512 << 20
	// MaxConns is the number of TCP connections in one capture that are kept.
	MaxConns = 1 << 18
	// heldPerSegment is what a TCP packet costs besides its payload, in bytes.
	heldPerSegment = 224
)

// Tolerances of the clock that stamped the packets.
const (
	// OrderTolerance is how far the times of packets may go against the order in which
	// things must have happened: several queues or interfaces stamp by themselves.
	OrderTolerance = 10 * time.Millisecond
	// ApartTolerance is how far the clocks of two interfaces may be apart.
	ApartTolerance = 100 * time.Millisecond
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
	// Backwards says whether time goes back by more than OrderTolerance between packets of
	// one interface.
	Backwards Backwards
	// FirstCut is the first TCP packet that was cut off when it was captured (snaplen); 0 for
	// none.
	FirstCut int
	// Conns are the TCP connections in the order of their first packets; Foreign is the number
	// of those that were not wanted.
	Conns   []*Conn
	Foreign int
}

// Skipped counts packets that are in no connection, by why.
type Skipped struct {
	// Link: the link type is not known. NotTCP: something else than TCP over IP.
	Link, NotTCP int
	// Fragments are pieces of TCP packets that IP has cut, and that lack others to be put
	// together.
	Fragments int
	// Tunnels counts packets that are wrapped in something which is not looked into, by its
	// name, and FirstTunnel is the first of them.
	Tunnels     map[string]int
	FirstTunnel int
	// Unreadable: TCP, or what looks like it, that makes no sense or is cut off.
	Unreadable int
	// FirstLink and FirstFragment are the first packets of their kinds, 0 for none; LinkName
	// is the name of that link type.
	FirstLink, FirstFragment int
	LinkName                 string
}

// Backwards counts packets that were stamped before the one in front of them in the file.
type Backwards struct {
	Count int
	// Packet is the first of them, and By the longest way back.
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
	// UpClock and DownClock say that the clocks in the packets of the streams go at the rate
	// of milliseconds, as far as the packets tell.
	UpClock, DownClock bool
	// Apart says that the two sides were not all captured on one interface, so that their times
	// may be of two clocks.
	Apart bool

	face int // of the first packet
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
	Damaged []Damage
	// Late are packets whose bytes the other side had acknowledged before: an earlier copy is
	// not in the capture, or the time of the packet is not true.
	Late []Late
	// Seen are the packets of the stream in the order of their times.
	Seen []Seen
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
	from  int
	mark  Mark
	heard int64
}

// At returns the packet that completed the byte at i and all before it in the chunk: the
// moment at which a reader of the stream could have read it.
func (c Chunk) At(i int) Mark { return c.arrival(i).mark }

// HeardAt returns how much of the other stream the sender had received when it sent the byte
// at i, as far as the packets tell; -1 when they do not.
func (c Chunk) HeardAt(i int) int64 { return c.arrival(i).heard }

func (c Chunk) arrival(i int) *arrival {
	at := sort.Search(len(c.arrivals), func(n int) bool { return c.arrivals[n].from > i })
	return &c.arrivals[at-1]
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

// A Damage is a packet whose checksum is wrong.
type Damage struct {
	Packet int
	// Acked says that the other side acknowledged its bytes at once, sooner than they can have
	// been sent again: it received them with a checksum that was right.
	Acked bool

	end int64
	at  time.Time
}

// A Late is a packet whose bytes were acknowledged By before it, in packet Acked.
type Late struct {
	Packet, Acked int
	By            time.Duration
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
