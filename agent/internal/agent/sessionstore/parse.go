package sessionstore

import "encoding/binary"

// An operation is one of a log.
type operation struct {
	kind byte
	body []byte
}

// opLost is what reading a log inserts where bytes are damaged: all that was known before may be
// older than what was acknowledged.
const opLost = 0

// A log is what was read of a file.
type log struct {
	header
	state headerState
	ops   []operation
	whole bool // it has opWhole: older logs are void
	clean bool // it ends with opClean
	lost  bool // it has opLost
	cut   int  // bytes at its end that were written only in part, and never acknowledged
}

// parse reads a log. Last says that no later one has been begun, so that its last frame may have been
// written only in part. The operations share memory with data.
func parse(data []byte, last bool, boot bootID) *log {
	var l log
	l.header, l.state = parseHeader(data)
	if l.state != headerSound {
		return &l
	}
	for at := headerBytes; at < len(data); {
		payload, sound, _ := frameAt(data, l.mark, at)
		if sound {
			l.add(payload)
			at += frameBytes + len(payload)
			continue
		}
		next := nextFrame(data, l.mark, at+1)
		if next < 0 {
			// After a power cut any page of the last frame may be missing. A process that was
			// killed has written the beginning of its last frame.
			if last && (l.boot != boot || isCut(data, l.mark, at)) {
				l.cut = len(data) - at
				break
			}
			next = len(data)
		}
		l.addOp(operation{kind: opLost})
		at = next
	}
	return &l
}

// add adds the operations of a frame.
func (l *log) add(payload []byte) {
	for d := (decoder{b: payload}); len(d.b) > 0; {
		op := operation{kind: d.byte(), body: d.bytes()}
		if d.bad || op.kind == opLost {
			op = operation{kind: opLost} // no version has written that
		}
		l.addOp(op)
	}
}

func (l *log) addOp(op operation) {
	l.ops = append(l.ops, op)
	l.whole = l.whole || op.kind == opWhole
	l.lost = l.lost || op.kind == opLost
	l.clean = op.kind == opClean
}

// appendOp appends an operation whose body are the parts one after another.
func appendOp(b []byte, kind byte, parts ...[]byte) []byte {
	length := 0
	for _, p := range parts {
		length += len(p)
	}
	b = binary.AppendUvarint(append(b, kind), uint64(length))
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// appendPut appends opPut or opSet.
func appendPut(b []byte, kind byte, record, replies []byte) []byte {
	var length [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(length[:], uint64(len(record)))
	return appendOp(b, kind, length[:n], record, replies)
}

// splitPut returns the parts of the body of opPut or opSet.
func splitPut(body []byte) (record, replies []byte) {
	d := decoder{b: body}
	record = d.bytes()
	return record, d.b
}
