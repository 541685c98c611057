package sessionstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// Format 1 of records and replies: numbers as in package encoding/binary (uvarint and varint), and
// bytes and strings after their length. Bytes behind the last field are ignored, so that a later
// version can add fields.

// Flags of a record.
const (
	flagEnded = 1 << iota
	flagExpects
	flagGapHeld
	flagFaulted
	flagReply // the last reply is that to the last step
	flagBegan // Began is not zero
	_         // not used
	flagGapFrom
	flagGapTo
	flagSynced // the wall clock was synchronized
)

// errRecord says that the bytes of a record or a reply are not what their format wants.
var errRecord = errors.New("the record has another form than its checksum lets expect")

// appendRecord appends a record without its reply. Its times are stored as those of the clock, with
// what trust is left in them.
func appendRecord(b []byte, r *Record, c *clock, trust Times) []byte {
	flags := bit(r.Ended, flagEnded) | bit(r.Expects.Known, flagExpects) | bit(r.GapHeld, flagGapHeld) |
		bit(r.Faulted, flagFaulted) | bit(r.Reply != nil, flagReply) | bit(!r.Began.IsZero(), flagBegan) |
		bit(!r.GapFrom.IsZero(), flagGapFrom) | bit(!r.GapTo.IsZero(), flagGapTo) | bit(c.synced(r.Replied), flagSynced)
	b = appendString(b, r.Key)
	b = appendString(b, r.Name)
	b = binary.AppendUvarint(b, flags)
	b = append(b, byte(trust))
	b = appendClient(b, &r.Client)
	for _, n := range [...]int{r.Steps, r.Position, r.Passed, r.Failed, r.Undecided} {
		b = binary.AppendVarint(b, int64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(r.Memory)))
	for i := range r.Memory {
		b = appendString(b, r.Memory[i].Validator)
		b = appendString(b, r.Memory[i].State)
	}
	b = binary.AppendVarint(b, r.Expects.StepID)
	b = binary.AppendVarint(b, int64(c.monotonic(r.Replied)))
	b = binary.AppendVarint(b, r.Replied.UnixNano())
	for _, t := range [...]time.Time{r.Began, r.GapFrom, r.GapTo} {
		if !t.IsZero() {
			b = binary.AppendVarint(b, int64(r.Replied.Sub(t)))
		}
	}
	b = binary.AppendVarint(b, int64(r.Latest))
	b = binary.AppendVarint(b, int64(r.Interval))
	b = appendReq(b, r.Req)
	b = binary.LittleEndian.AppendUint64(b, r.Recent)
	b = binary.AppendUvarint(b, uint64(len(r.Generations)))
	for _, g := range r.Generations {
		b = binary.AppendUvarint(b, g)
	}
	return binary.AppendUvarint(b, r.Unnamed)
}

// decodeRecord decodes a record that was stored in the given boot.
func decodeRecord(b []byte, c *clock, boot bootID) (Record, Times, error) {
	d := decoder{b: b}
	r := Record{Key: d.str(), Name: d.str()}
	flags := d.uvarint()
	is := func(flag uint64) bool { return flags&flag != 0 }
	r.Ended, r.Expects.Known, r.GapHeld, r.Faulted = is(flagEnded), is(flagExpects), is(flagGapHeld), is(flagFaulted)
	if is(flagReply) {
		r.Reply = &protocol.Reply{} // the caller has it
	}
	trust := Times(d.byte())
	r.Client = d.client()
	for _, n := range [...]*int{&r.Steps, &r.Position, &r.Passed, &r.Failed, &r.Undecided} {
		*n = int(d.varint())
	}
	for range d.count() {
		r.Memory = append(r.Memory, State{Validator: d.str(), State: bytes.Clone(d.bytes())})
	}
	r.Expects.StepID = d.varint()
	var times Times
	r.Replied, times = c.restore(time.Duration(d.varint()), time.Unix(0, d.varint()), is(flagSynced), boot)
	for _, t := range [...]struct {
		flag uint64
		to   *time.Time
	}{{flagBegan, &r.Began}, {flagGapFrom, &r.GapFrom}, {flagGapTo, &r.GapTo}} {
		if is(t.flag) {
			*t.to = r.Replied.Add(-time.Duration(d.varint()))
		}
	}
	r.Latest, r.Interval = time.Duration(d.varint()), time.Duration(d.varint())
	r.Req = d.req()
	r.Recent = d.uint64()
	for range d.count() {
		r.Generations = append(r.Generations, d.uvarint())
	}
	r.Unnamed = d.uvarint()
	if d.bad || r.Key == "" || trust > TimesUnknown {
		return Record{}, 0, errRecord
	}
	return r, max(times, trust), nil
}

// keyOf returns the key of an encoded record; nil for none.
func keyOf(record []byte) []byte {
	d := decoder{b: record}
	return d.bytes()
}

func appendClient(b []byte, c *Client) []byte {
	at := len(b)
	b = append(b, 0)
	b, _ = c.Addr.AppendBinary(b) // has no errors
	b[at] = byte(len(b) - at - 1) // with the zone of an interface, which Linux bounds to 15 bytes
	b = appendString(b, c.Name)
	return appendString(b, c.Identity)
}

func (d *decoder) client() Client {
	var addr netip.AddrPort
	if addr.UnmarshalBinary(d.take(int(d.byte()))) != nil {
		d.bad = true
	}
	return Client{Addr: addr, Name: d.str(), Identity: d.str()}
}
