package sessionstore

import (
	"encoding/binary"

	"github.com/stepagent/stepagent/agent/protocol"
)

// Flags of a reply.
const (
	flagStepID = 1 << iota // it is not null
	flagEnd
)

// appendReply appends a reply after its length.
func appendReply(b []byte, r *protocol.Reply) []byte {
	at := len(b)
	flags, id := bit(r.End, flagEnd), int64(0)
	if r.StepID != nil {
		flags, id = flags|flagStepID, *r.StepID
	}
	b = append(b, 0, 0, byte(flags))
	b = binary.AppendVarint(b, id)
	b = binary.AppendVarint(b, int64(r.ErrorCode))
	b = appendReq(b, r.Req)
	for _, s := range [...]string{r.Session, string(r.Reason), r.Detail, r.Agent} {
		b = appendString(b, s)
	}
	binary.LittleEndian.PutUint16(b[at:], uint16(min(len(b)-at-2, maxReplyBytes+1)))
	return b
}

// maxReplyBytes bounds an encoded reply. Its parts are bounded by the protocol to a tenth of that.
const maxReplyBytes = 1<<16 - 2

// decodeReplies decodes n replies one after another. Of those with the same req the last counts.
func decodeReplies(b []byte, n int) ([]protocol.Reply, error) {
	replies := make([]protocol.Reply, 0, n)
	for d := (decoder{b: b}); len(d.b) > 0; {
		one := decoder{b: d.take(d.uint16())}
		r := one.reply()
		if d.bad || one.bad {
			return nil, errRecord
		}
		replies = append(replies, r)
	}
	last := make(map[protocol.ReqID]int, n)
	for i := range replies {
		last[replies[i].Req] = i
	}
	kept := replies[:0]
	for i := range replies {
		if last[replies[i].Req] == i {
			kept = append(kept, replies[i])
		}
	}
	return kept, nil
}

func (d *decoder) reply() protocol.Reply {
	flags, id := d.byte(), d.varint()
	r := protocol.Reply{ErrorCode: int(d.varint()), Req: d.req(), End: flags&flagEnd != 0}
	if flags&flagStepID != 0 {
		r.StepID = &id
	}
	r.Session, r.Reason, r.Detail, r.Agent = d.str(), protocol.Reason(d.str()), d.str(), d.str()
	return r
}

// Kinds of a req.
const (
	reqNone = iota
	reqText
	reqNum
)

func appendReq(b []byte, r protocol.ReqID) []byte {
	if text, ok := r.Text(); ok {
		return appendString(append(b, reqText), text)
	}
	if n, ok := r.Num(); ok {
		return binary.AppendVarint(append(b, reqNum), n)
	}
	return append(b, reqNone)
}

func (d *decoder) req() protocol.ReqID {
	switch d.byte() {
	case reqNone:
		return protocol.ReqID{}
	case reqText:
		return protocol.TextReq(d.str())
	case reqNum:
		return protocol.NumReq(d.varint())
	default:
		d.bad = true
		return protocol.ReqID{}
	}
}
