package pluginhost

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
	// maxParts is how many messages one message of a plugin may consist of. A part takes
	// minPartBytes on the wire and some hundred in memory: what fits into the longest message
	// would take a small board's memory many times over.
	maxParts     = 1 << 16
	minPartBytes = 2 // a tag and a length
)

// A codec is gRPC's for protobuf. It refuses messages of too many parts.
type codec struct {
	encoding.CodecV2
	meter *meter // is told of each message
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

// parts counts the messages of which a message of a kind consists, itself among them, as far as it
// can be read. No kind of the contract is a part of itself.
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
