package protocol_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// benchMessages are a request of an old client, one of ours, and one with measurements.
func benchMessages() map[string][]byte {
	data := []byte(`{"voltage":[12.1,12.0,11.9],"rail":"KL30","ambient":{"temperature":-40.5,"humidity":0.31}}`)
	plain := protocol.Request{StepID: 3, Timeout: protocol.Seconds(5 * time.Second), Interval: protocol.Seconds(time.Second)}
	named := plain
	named.Timeout = protocol.Seconds(7700 * time.Millisecond)
	named.Session, named.Req = "bench-4-run-20261104", protocol.TextReq("run-3")
	measured := named
	measured.Data = data
	return map[string][]byte{
		"plain":    protocol.AppendRequest(nil, plain),
		"named":    protocol.AppendRequest(nil, named),
		"measured": protocol.AppendRequest(nil, measured),
	}
}

func BenchmarkDecodeRequest(b *testing.B) {
	for name, message := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				if _, err := protocol.DecodeRequest(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecodeReply(b *testing.B) {
	message := []byte(`{"step_id":3,"error_code":0,"req":"run-3","session":"bench-4-run-20261104"}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(message)))
	for b.Loop() {
		if _, err := protocol.DecodeReply(message); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendReply(b *testing.B) {
	id := int64(3)
	replies := map[string]protocol.Reply{
		"passed": {StepID: &id},
		"failed": {StepID: &id, ErrorCode: 1, Req: protocol.TextReq("run-3"), Session: "bench-4-run-20261104",
			Reason: protocol.OutOfOrder, Detail: "step 2 must come now, got step 3"},
	}
	for name, reply := range replies {
		b.Run(name, func(b *testing.B) {
			buffer := protocol.AppendReply(nil, reply)
			b.ReportAllocs()
			b.SetBytes(int64(len(buffer)))
			for b.Loop() {
				buffer = protocol.AppendReply(buffer[:0], reply)
			}
		})
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	request := protocol.Request{StepID: 3, Timeout: protocol.Seconds(7700 * time.Millisecond),
		Interval: protocol.Seconds(time.Second), Session: "bench-4-run-20261104", Req: protocol.NumReq(3)}
	buffer := protocol.AppendRequest(nil, request)
	b.ReportAllocs()
	b.SetBytes(int64(len(buffer)))
	for b.Loop() {
		buffer = protocol.AppendRequest(buffer[:0], request)
	}
}

// repeater is a source that has the same bytes again for ever, a part at each read.
type repeater struct {
	part []byte
	left []byte
}

func (r *repeater) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.left = r.part
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	for name, message := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			reader := protocol.NewReader(&repeater{part: message}, 0)
			b.ReportAllocs()
			b.SetBytes(int64(len(message)))
			for b.Loop() {
				if _, err := reader.Next(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("packed", func(b *testing.B) {
		message := benchMessages()["plain"]
		reader := protocol.NewReader(&repeater{part: bytes.Repeat(message, 1000)}, 0)
		b.ReportAllocs()
		b.SetBytes(int64(len(message)))
		for b.Loop() {
			if _, err := reader.Next(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkNewReader(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := protocol.NewReader(bytes.NewReader(nil), 0).Next(); err != io.EOF {
			b.Fatal(err)
		}
	}
}
