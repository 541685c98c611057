package sessionstore

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// Format 1 of a log, all numbers little endian. It begins with a header of headerBytes:
//
//	0   8  magic
//	8   2  format
//	10  2  the oldest format whose programs can read it
//	12  4  CRC-32C of the bytes before; so far the same in all formats
//	16 16  boot id
//	32  4  mark, a random number that begins each frame of this log
//	36  1  level
//	37  1  length of the version that follows
//	38 86  version of the agent
//	124 4  CRC-32C of the bytes before
//
// Then come frames, each written by one call and, with PowerCut, synced before the next:
//
//	0   4  mark
//	4   4  length of the payload
//	8   4  CRC-32C of the payload
//	12  4  CRC-32C of the bytes before, continued from the frame's offset in the log, its halves XORed
//	16     payload: operations, each a kind, the length of its body as uvarint, and the body
const (
	magic        = "stepslog"
	format       = 1
	oldestReader = 1
	prefixBytes  = 16
	versionAt    = 38
	versionBytes = 86
	headerBytes  = 128
	frameBytes   = 16
)

// Kinds of operations. Readers skip others.
const (
	opPut    = 1 // record and reply: a commit
	opSet    = 2 // record and replies: all that is known of a key; what was known before is void
	opForget = 3 // key
	opWhole  = 4 // nothing: this log has all that is stored, and older ones are void
	opClean  = 5 // nothing: the agent has stopped, and the log is synced; always the last
)

// Levels in a header.
const (
	levelRestart  = 1
	levelPowerCut = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A header is the beginning of a log.
type header struct {
	boot    bootID
	mark    uint32
	level   byte
	version string
}

func (h *header) append(b []byte) []byte {
	le := binary.LittleEndian
	at := len(b)
	b = append(b, magic...)
	b = le.AppendUint16(b, format)
	b = le.AppendUint16(b, oldestReader)
	b = le.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
	b = append(b, h.boot[:]...)
	b = le.AppendUint32(b, h.mark)
	version := h.version[:min(len(h.version), versionBytes)]
	b = append(append(b, h.level, byte(len(version))), version...)
	b = append(b, make([]byte, versionBytes-len(version))...)
	return le.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// A headerState says what a log's header is.
type headerState int

const (
	headerSound   headerState = iota
	headerMissing             // it was not written to its end, so that nothing follows
	headerNewer               // of a format that this program cannot read
	headerDamaged
)

func parseHeader(data []byte) (h header, state headerState) {
	le := binary.LittleEndian
	bad := headerDamaged
	if len(data) <= headerBytes {
		bad = headerMissing // it is synced, or written by one call, before what follows
	}
	if len(data) < prefixBytes || string(data[:8]) != magic || le.Uint32(data[12:]) != crc32.Checksum(data[:12], castagnoli) {
		return header{}, bad
	}
	if le.Uint16(data[10:]) > format {
		return header{}, headerNewer
	}
	const end = headerBytes - 4
	if len(data) < headerBytes || le.Uint32(data[end:]) != crc32.Checksum(data[:end], castagnoli) {
		return header{}, bad
	}
	version := data[versionAt:end]
	h = header{mark: le.Uint32(data[32:]), level: data[36], version: string(version[:min(int(data[37]), len(version))])}
	copy(h.boot[:], data[prefixBytes:])
	return h, headerSound
}

// sealFrame fills in the first frameBytes of a frame at the given offset of a log. Its payload follows
// them.
func sealFrame(frame []byte, mark uint32, offset int64) {
	le := binary.LittleEndian
	payload := frame[frameBytes:]
	le.PutUint32(frame, mark)
	le.PutUint32(frame[4:], uint32(len(payload)))
	le.PutUint32(frame[8:], crc32.Checksum(payload, castagnoli))
	le.PutUint32(frame[12:], frameSum(frame, offset))
}

func frameSum(frame []byte, offset int64) uint32 {
	return crc32.Update(uint32(offset>>32)^uint32(offset), castagnoli, frame[:12])
}

// frameAt returns the payload of the frame at an offset of a log. Begun says that its first
// frameBytes are sound and that the rest is missing.
func frameAt(data []byte, mark uint32, offset int) (payload []byte, sound, begun bool) {
	le := binary.LittleEndian
	frame := data[offset:]
	if len(frame) < frameBytes || le.Uint32(frame) != mark || le.Uint32(frame[12:]) != frameSum(frame, int64(offset)) {
		return nil, false, false
	}
	length := uint64(le.Uint32(frame[4:]))
	payload = frame[frameBytes:]
	if uint64(len(payload)) < length {
		return nil, false, true
	}
	payload = payload[:length]
	return payload, le.Uint32(frame[8:]) == crc32.Checksum(payload, castagnoli), false
}

// nextFrame returns the offset of the first sound frame from the given one on; -1 for none.
func nextFrame(data []byte, mark uint32, offset int) int {
	var begin [4]byte
	binary.LittleEndian.PutUint32(begin[:], mark)
	for {
		n := bytes.Index(data[offset:], begin[:])
		if n < 0 {
			return -1
		}
		offset += n
		if _, sound, _ := frameAt(data, mark, offset); sound {
			return offset
		}
		offset++
	}
}

// isCut reports whether what is left of a log at an offset is a frame whose end is missing, as a
// writer leaves it that was killed.
func isCut(data []byte, mark uint32, offset int) bool {
	var begin [4]byte
	binary.LittleEndian.PutUint32(begin[:], mark)
	rest := data[offset:]
	if len(rest) < frameBytes {
		return bytes.HasPrefix(rest, begin[:min(len(rest), len(begin))])
	}
	_, _, begun := frameAt(data, mark, offset)
	return begun
}
