package pluginhost

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
	"github.com/stepagent/stepagent/plugins/validator"
)

// key is how the verdicts of the process are kept: by the bytes that it would be sent. It is nil
// where none can be kept: no two steps have the same time or gap.
func (in *instance) key() verdictcache.Key {
	if !in.declared || in.reads&(validator.InputAt|validator.InputGap) != 0 {
		return nil
	}
	reads := in.reads
	return func(dst []byte, call *judge.Call) []byte { return appendCall(dst, reads, call) }
}

// appendCall appends what proto.Marshal makes of encodeCall(reads, call), as long as that has no time
// and no gap. A key is made for each step; by reflection it takes four times as long.
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

// beginMessage appends the head of a field that is a message, with room for a length of one byte.
// endMessage is told where the message begins.
func beginMessage(dst []byte, field protowire.Number) (message []byte, from int) {
	dst = append(protowire.AppendTag(dst, field, protowire.BytesType), 0)
	return dst, len(dst)
}

// endMessage puts the length of a message before it.
func endMessage(dst []byte, from int) []byte {
	n := uint64(len(dst) - from)
	if more := protowire.SizeVarint(n) - 1; more > 0 {
		dst = append(dst, make([]byte, more)...)
		copy(dst[from+more:], dst[from:])
	}
	protowire.AppendVarint(dst[:from-1], n)
	return dst
}

// appendInt appends an integer field, which is left out when it is 0.
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
