// Package capture reads pcap and pcapng files and reassembles their TCP connections: two streams
// of bytes, with the packet and the time that completed each byte, and everything that is
// missing, damaged or contradictory. It applies no rules of the protocol.
//
// file.go reads frames, package packet decodes them, assemble.go selects the connections of
// interest, split.go separates connections between the same ends, and stream.go, cover.go and
// clock.go reassemble and check each one. decode.go replaces streams by what they stand for, such
// as the data in TLS records, which package tlsrecord decrypts.
//
// Files are not trusted: every length is bounded, and an error names the file and the packet.
package capture

import (
	"fmt"
	"net/netip"
	"sort"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture/packet"
)

// Limits of a capture that is read.
const (
	// MaxHeldBytes bounds the memory for the TCP packets of the connections of interest.
	MaxHeldBytes = 512 << 20
	// MaxConns is the default of Options.Conns.
	MaxConns = 1 << 18
	// heldPerSegment is the memory of a TCP packet besides its payload, in bytes.
	heldPerSegment = 224
)

// Tolerances of the clock that stamped the packets.
const (
	// OrderTolerance is how far the times of packets may contradict their causal order: queues
	// and interfaces stamp packets independently.
	OrderTolerance = 10 * time.Millisecond
	// ApartTolerance bounds the difference between the clocks of two interfaces.
	ApartTolerance = 100 * time.Millisecond
	// ClockTolerance is how far a packet's time may be from what its sender's own clock
	// says, the timestamp option of RFC 7323: packets wait in queues and on radio links.
	ClockTolerance = 150 * time.Millisecond
)

// A File is what a file says of itself and of all its packets. Reports have it as JSON.
type File struct {
	// Name is the file's name, for errors and reports.
	Name string `json:"name"`
	// Format is pcap or pcapng; Gzip says that it was compressed.
	Format string `json:"format"`
	Gzip   bool   `json:"gzip,omitempty"`
	// Links are the link types of the interfaces, each once.
	Links []string `json:"links"`
	// Application and Comments are those of the file in their order; empty in pcap.
	Application string   `json:"application,omitempty"`
	Comments    []string `json:"comments,omitempty"`
	// Packets is the number of packets; First and Last are their earliest and latest times.
	Packets int       `json:"packets"`
	First   time.Time `json:"first,omitzero"`
	Last    time.Time `json:"last,omitzero"`
	// Dropped is how many packets the writer lost by its own count; nil when not known.
	Dropped *uint64 `json:"dropped,omitempty"`
}

// A Capture is the content of a file.
type Capture struct {
	File
	// Skipped counts packets that are in no connection.
	Skipped Skipped
	// Backwards says whether time goes back by more than OrderTolerance between packets of
	// one interface.
	Backwards Backwards
	// FirstCut is the first TCP packet that was cut off when it was captured (snaplen); 0 for
	// none.
	FirstCut int
	// Conns are the TCP connections of interest in the order of their first packets; Foreign
	// counts the others.
	Conns   []*Conn
	Foreign int
}

// Skipped counts packets that are in no connection.
type Skipped struct {
	// Link counts packets of unsupported link types, NotTCP those of other protocols.
	Link, NotTCP int
	// Fragments counts IP fragments of packets that are not complete.
	Fragments int
	// Tunnels counts packets in tunnels, which are not decoded, by protocol; FirstTunnel is the
	// first of them.
	Tunnels     map[string]int
	FirstTunnel int
	// Unreadable counts packets with invalid headers or headers that are cut off.
	Unreadable int
	// FirstLink and FirstFragment are the first packets of their kinds, 0 for none; LinkName
	// is the name of that link type.
	FirstLink, FirstFragment int
	LinkName                 string
}

// Backwards counts packets with times before that of the packet before them in the file.
type Backwards struct {
	Count int
	// Packet is the first of them, By the largest difference.
	Packet int
	By     time.Duration
}

// A Mark is the number and the time of a packet.
type Mark = packet.Mark

// A Conn is one TCP connection.
type Conn struct {
	// Up is the stream of the end that opened the connection, Down that of the other. Without a
	// handshake in the capture, Up is the direction of the first packet.
	Up, Down *Stream
	// Opened is the first SYN and Accepted the first SYN-ACK; zero when not in the capture.
	Opened, Accepted Mark
	// First and Last are the first and last packets.
	First, Last Mark
	// Contradictions are packets with impossible times.
	Contradictions []Contradiction
	// UpClock and DownClock say that the TCP timestamps of the streams tick in milliseconds.
	UpClock, DownClock bool
	// Apart says that packets were captured on several interfaces, whose clocks may differ.
	Apart bool
}

// A Contradiction is a packet whose time contradicts its sender's own clock.
type Contradiction struct {
	Packet int
	// By is how far the time is off, at least.
	By time.Duration
}

// A Stream is what one side of a connection sent.
type Stream struct {
	From, To netip.AddrPort
	// Started says that the beginning of the stream is known, from its SYN.
	Started bool
	// Chunks are the bytes in order, with a gap between two of them.
	Chunks []Chunk
	// Missing are bytes that were sent or acknowledged and are not in the capture.
	Missing []Missing
	// Conflicts are packets that carry other bytes than an earlier packet for the same offset.
	Conflicts []Conflict
	// Damaged are packets with a wrong TCP checksum whose bytes no other packet carries.
	Damaged []Damage
	// Late are packets whose bytes were acknowledged before: an earlier copy is not in the
	// capture, or the time of the packet is false.
	Late []Late
	// Packets are those of the stream in the order of their times.
	Packets []Packet
	// FIN and RST are the first packets with these flags.
	FIN, RST Mark
	// Undecoded are the bytes that are in the capture and that Conn.Decode had no parts for.
	Undecoded Undecoded
}

// A Chunk is contiguous bytes of a stream.
type Chunk struct {
	// Offset is the place of the first byte in the stream, counted from 0.
	Offset int64
	Data   []byte
	// arrivals are ranges of Data with their packets, ordered by from.
	arrivals []arrival
}

type arrival struct {
	from  int
	mark  Mark
	acked int64
}

// At returns the packet that completed the chunk up to the byte at i: from then on a reader of
// the stream could read it.
func (c Chunk) At(i int) Mark { return c.arrival(i).mark }

// AckedAt returns how many bytes of the other stream the sender had acknowledged when it sent
// the byte at i; -1 when the packets do not tell.
func (c Chunk) AckedAt(i int) int64 { return c.arrival(i).acked }

func (c Chunk) end() int64 { return c.Offset + int64(len(c.Data)) }

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

// Undecoded counts bytes that were not decoded.
type Undecoded struct {
	Bytes int64
	// Near is the packet of the first of them.
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
	// AckedAtOnce says that the other side acknowledged its bytes sooner than they can have been
	// sent again: it received them with a valid checksum.
	AckedAtOnce bool

	end int64
	at  time.Time
}

// A Late is a packet whose bytes were acknowledged By before it, in packet AckedIn.
type Late struct {
	Packet, AckedIn int
	By              time.Duration
}

// A FileError says why a file cannot be read to its end.
type FileError struct {
	Name string
	// Packet is the packet at which it happened, from 1; 0 when it was before the first.
	Packet int
	// Offset is about the number of uncompressed bytes that were read.
	Offset int64
	// Problem is what is wrong, as an error text.
	Problem string
}

// Error names file, packet and offset.
func (e *FileError) Error() string {
	if e.Packet == 0 {
		return fmt.Sprintf("%s: %s", e.Name, e.Problem)
	}
	return fmt.Sprintf("%s: packet %d, near byte %d: %s", e.Name, e.Packet, e.Offset, e.Problem)
}
