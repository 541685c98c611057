package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// startAgent starts an agent for the examples, which answers the steps in order and does not answer
// step 9. It returns the agent's address; stop ends it.
func startAgent() (address string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			socket, err := listener.Accept()
			if err != nil {
				return
			}
			answer(socket)
		}
	}()
	return listener.Addr().String(), func() {
		_ = listener.Close() // ends Accept
		<-done
	}
}

func answer(socket net.Conn) {
	defer func() { _ = socket.Close() }() // the client has closed it
	messages := protocol.NewReader(socket, 0)
	for next := int64(1); ; {
		message, err := messages.Next()
		if err != nil {
			return
		}
		request, err := protocol.DecodeRequest(message)
		if err != nil || request.StepID == 9 {
			continue
		}
		reply := protocol.Reply{StepID: &request.StepID, Req: request.Req}
		if request.StepID == next {
			next++
		} else {
			reply.ErrorCode, reply.Reason = 1, protocol.OutOfOrder
			reply.Detail = fmt.Sprintf("step %d must come now", next)
		}
		if _, err := socket.Write(protocol.AppendReply(nil, reply)); err != nil {
			return
		}
	}
}

// A refused step is a reply, not an error.
func ExampleClient_Do() {
	address, stop := startAgent()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, address, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()

	for _, id := range []int64{1, 3, 2} {
		reply, err := c.Do(ctx, protocol.Request{StepID: id, Timeout: protocol.Seconds(5 * time.Second)})
		switch {
		case err != nil:
			fmt.Println(err)
			return
		case reply.OK():
			fmt.Printf("step %d: passed\n", id)
		default:
			fmt.Printf("step %d: %s: %s\n", id, reply.Reason, reply.Detail)
		}
	}
	// Output:
	// step 1: passed
	// step 3: out_of_order: step 2 must come now
	// step 2: passed
}

// Exchange also returns the req that the request was sent with, and its times.
func ExampleClient_Exchange() {
	address, stop := startAgent()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, address, client.Options{Name: "bench 1.0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = c.Close() }()

	result, err := c.Exchange(ctx, protocol.Request{StepID: 1, Req: protocol.TextReq("bench-1")})
	took := result.Done.Sub(result.Sent)
	fmt.Println(result.Request.Req, result.Reply.OK(), took > 0, err)
	// Output: "bench-1" true true <nil>
}

// The errors of a request are told apart by errors.Is.
func ExampleClient_Do_errors() {
	address, stop := startAgent()
	defer stop()
	ctx := context.Background()
	c, err := client.Dial(ctx, address, client.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = c.Do(ctx, protocol.Request{StepID: 9, Timeout: protocol.Seconds(10 * time.Millisecond)})
	fmt.Println(errors.Is(err, client.ErrTimeout))

	_ = c.Close()
	_, err = c.Do(ctx, protocol.Request{StepID: 2})
	fmt.Println(errors.Is(err, client.ErrConnectionLost), errors.Is(err, net.ErrClosed))

	_, err = client.Dial(ctx, address, client.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("connection refused")
	}})
	fmt.Println(errors.Is(err, client.ErrUnreachable), err)
	// Output:
	// true
	// true true
	// true the agent cannot be reached: connection refused
}
