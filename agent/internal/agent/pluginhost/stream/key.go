package stream

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/validator"
)

// Key returns the key under which the verdicts of validators that read these inputs are kept: the bytes
// that they would be sent. It is nil for inputs that differ at every step.
func Key(reads validator.Inputs) verdictcache.Key {
	if reads&(validator.InputAt|validator.InputGap) != 0 {
		return nil
	}
	return func(dst []byte, call *judge.Call) []byte { return appendCall(dst, reads, call) }
}

// appendCall appends the encoding of encodeCall(reads, call), as proto.Marshal has it, for reads without
// time and gap. It is written by hand because a key is made for each step: proto.Marshal takes four
// times as long.
func appendCall(dst []byte, reads validator.Inputs, call *judge.Call) []byte {
	session, step := reads.Mask(call.Session, call.Step)
	dst, from := beginMessage(dst, 2)
	dst = appendInt(dst, 2, int64(session.Position))
	dst = appendInt(dst, 3, int64(session.Steps))
	dst = endMessage(dst, from)
	for _, state := range call.States {
		dst = appendBytes(dst, 3, state)
	}
	dst, from = beginMessage(dst, 4)
	dst = appendInt(dst, 1, step.ID)
	dst = appendWait(dst, 2, step.Timeout)
	dst = appendWait(dst, 3, step.Interval)
	if step.Data != nil {
		dst = appendBytes(dst, 6, step.Data)
	}
	return endMessage(dst, from)
}

// beginMessage appends the tag of a field that is a message and room for a length of one byte. It
// returns where the message begins, for endMessage.
func beginMessage(dst []byte, field protowire.Number) (message []byte, from int) {
	dst = append(protowire.AppendTag(dst, field, protowire.BytesType), 0)
	return dst, len(dst)
}

// endMessage sets the length of the message that begins at from.
func endMessage(dst []byte, from int) []byte {
	n := uint64(len(dst) - from)
	if more := protowire.SizeVarint(n) - 1; more > 0 {
		dst = append(dst, make([]byte, more)...)
		copy(dst[from+more:], dst[from:])
	}
	protowire.AppendVarint(dst[:from-1], n)
	return dst
}

// appendInt appends an integer field, unless it is 0.
func appendInt(dst []byte, field protowire.Number, n int64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(n))
}

// appendWait appends an optional integer field.
func appendWait(dst []byte, field protowire.Number, w validator.Wait) []byte {
	if !w.Declared {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), uint64(w.Duration))
}

func appendBytes(dst []byte, field protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), b)
}
