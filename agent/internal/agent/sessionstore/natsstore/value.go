package natsstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// Format 1 of a value, all numbers little endian. The first headerBytes are the same in all formats:
//
//	0   4  magic
//	4   1  format
//	5   1  the oldest format whose programs can read it
//	6   16 id of the opened store that wrote it
//	22  8  number of the commit in that store
//	30  8  the sequence that it replaced; 0 for none
//	38  4  CRC-32C of the bytes before and behind
//	42     record and reply, as sessionstore.Codec encodes them
const (
	magic        = "saKV"
	format       = 1
	oldestReader = 1
	writerAt     = 6
	numberAt     = 22
	replacesAt   = 30
	sumAt        = 38
	headerBytes  = 42
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A writerID identifies an opened store among those of all agents.
type writerID [16]byte

// An origin says which commit wrote a value.
type origin struct {
	writer   writerID
	number   uint64
	replaces uint64
}

var (
	errNewer   = errors.New("it was stored by a newer version of the agent; upgrade this agent, or let the client go to a newer one")
	errDamaged = errors.New("it is damaged, or was not stored by an agent")
)

// appendHeader appends the header of a value; seal completes it when the rest has been appended.
func appendHeader(b []byte, o *origin) []byte {
	b = append(append(b, magic...), format, oldestReader)
	b = append(b, o.writer[:]...)
	b = binary.LittleEndian.AppendUint64(b, o.number)
	b = binary.LittleEndian.AppendUint64(b, o.replaces)
	return append(b, 0, 0, 0, 0)
}

func seal(value []byte) { binary.LittleEndian.PutUint32(value[sumAt:], sum(value)) }

func sum(value []byte) uint32 {
	return crc32.Update(crc32.Checksum(value[:sumAt], castagnoli), castagnoli, value[headerBytes:])
}

// parse returns the parts of a value, which share its memory. With errNewer the origin is valid.
func parse(value []byte) (o origin, body []byte, err error) {
	le := binary.LittleEndian
	if len(value) < headerBytes || string(value[:len(magic)]) != magic || le.Uint32(value[sumAt:]) != sum(value) {
		return origin{}, nil, errDamaged
	}
	copy(o.writer[:], value[writerAt:])
	o.number, o.replaces = le.Uint64(value[numberAt:]), le.Uint64(value[replacesAt:])
	if value[len(magic)+1] > format {
		return o, nil, errNewer
	}
	return o, value[headerBytes:], nil
}
