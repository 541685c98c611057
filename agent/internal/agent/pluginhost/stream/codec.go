package stream

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxParts is how many messages, nested ones included, one message of a plugin may consist of. A
	// part takes minPartBytes on the wire and some hundred bytes in memory: the parts that fit into
	// the longest message would exceed a small board's memory many times.
	maxParts     = 1 << 16
	minPartBytes = 2 // a tag and a length
)

// A codec is gRPC's for protobuf. It counts messages with the meter and refuses those of too many parts.
type codec struct {
	encoding.CodecV2
	meter *meter
}

func newCodec(m *meter) codec { return codec{encoding.GetCodecV2(grpcproto.Name), m} }

// Unmarshal implements encoding.CodecV2.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	c.meter.message(data.Len())
	if m, ok := v.(proto.Message); ok && data.Len() > minPartBytes*maxParts {
		whole := data.MaterializeToBuffer(mem.DefaultBufferPool())
		defer whole.Free()
		if n := parts(whole.ReadOnlyData(), m.ProtoReflect().Descriptor()); n > maxParts {
			return fmt.Errorf("a message of %d parts, at most %d are allowed", n, maxParts)
		}
	}
	return c.CodecV2.Unmarshal(data, v)
}

// parts counts a message and the messages nested in it, up to the first byte that is invalid. No
// message type of the contract contains itself.
func parts(message []byte, kind protoreflect.MessageDescriptor) int {
	all := 1
	for len(message) > 0 {
		number, wire, n := protowire.ConsumeTag(message)
		if n < 0 {
			break
		}
		size := protowire.ConsumeFieldValue(number, wire, message[n:])
		if size < 0 {
			break
		}
		if field := kind.Fields().ByNumber(number); wire == protowire.BytesType && field != nil && field.Message() != nil {
			value, _ := protowire.ConsumeBytes(message[n:])
			all += parts(value, field.Message())
		}
		message = message[n+size:]
	}
	return all
}
