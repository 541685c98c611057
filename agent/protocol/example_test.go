package protocol_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// An agent reads requests from a stream until it ends, and writes a reply to each. A bad request gets
// a reply too; after a bad message the connection must close.
func Example_agent() {
	stream := strings.NewReader(`{"step_id":1,"timeout":5,"interval":0.5} {"step_id":"2","req":7}`)
	codes := protocol.Codes{protocol.BadRequest: 400}

	messages := protocol.NewReader(stream, protocol.DefaultMaxMessageBytes)
	for {
		message, err := messages.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var request protocol.Request
		if err == nil {
			request, err = protocol.DecodeRequest(message)
		}
		reply := protocol.Reply{StepID: &request.StepID, Req: request.Req, Session: request.Session}
		var bad *protocol.Error
		if errors.As(err, &bad) {
			reply = bad.Reply(codes.Of(bad.Reason))
		} else if err != nil {
			fmt.Println(err) // of the stream
			return
		}
		_, _ = os.Stdout.Write(protocol.AppendReply(nil, reply))
		if reply.Reason == protocol.BadMessage {
			return
		}
	}
	// Output:
	// {"step_id":1,"error_code":0}
	// {"step_id":null,"error_code":400,"req":7,"reason":"bad_request","detail":"step_id must be an integer, got \"2\""}
}

// A client writes a request with its timeout and interval, in seconds on the wire.
func ExampleAppendRequest() {
	request := protocol.Request{
		StepID:   3,
		Timeout:  protocol.Seconds(5 * time.Second),
		Interval: protocol.Seconds(1500 * time.Millisecond),
		Session:  "bench-7",
		Req:      protocol.TextReq("3-1"),
	}
	_, _ = os.Stdout.Write(protocol.AppendRequest(nil, request))
	// Output: {"step_id":3,"timeout":5,"interval":1.5,"session":"bench-7","req":"3-1"}
}

// A client compares req to tell which of its requests a reply answers.
func ExampleDecodeReply() {
	sent := protocol.TextReq("3-1")
	reply, err := protocol.DecodeReply([]byte(`{"step_id":3,"error_code":1,"req":"3-1","reason":"out_of_order","detail":"step 2 must come now"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Req == sent, reply.OK(), reply.Reason, "-", reply.Detail)
	// Output: true false out_of_order - step 2 must come now
}
