package client_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A trouble is what an agent does with a request.
type trouble int

// The troubles. Each but fine gives no verdict.
const (
	fine        trouble = iota
	refused             // nothing listens
	dropped             // the connection is closed, and the request was not judged
	judged              // the same, after it was judged
	busy                // it takes no position
	stopped             // the agent stops
	unavailable         // no validator
)

// A sharedSession is what agents at several addresses know of one session: the number of each req that was
// judged.
type sharedSession struct{ judged map[protocol.ReqID]int }

// serve does with each request of a connection what its address is to do next.
func (s *sharedSession) serve(conn net.Conn, next func() trouble) {
	defer func() { _ = conn.Close() }()
	messages := protocol.NewReader(conn, 0)
	for {
		message, err := messages.Next()
		if err != nil {
			return
		}
		r, err := protocol.DecodeRequest(message)
		if err != nil {
			panic(err)
		}
		reply := protocol.Reply{StepID: &r.StepID, Req: r.Req}
		switch next() {
		case refused, dropped:
			return
		case judged:
			s.judge(r.Req)
			return
		case busy:
			reply.ErrorCode, reply.Reason = 1, protocol.Busy
		case stopped:
			reply.ErrorCode, reply.Reason = 1, protocol.ShuttingDown
		case unavailable:
			reply.ErrorCode, reply.Reason = 1, protocol.ValidatorUnavailable
		default:
			s.judge(r.Req)
		}
		_, _ = conn.Write(protocol.AppendReply(nil, reply)) // the client may have hung up
	}
}

// judge judges a request that was not judged before.
func (s *sharedSession) judge(req protocol.ReqID) {
	if s.judged[req] == 0 {
		s.judged[req] = len(s.judged) + 1
	}
}

// As long as one agent of those that share a session answers, each step passes without a pause and is judged
// once, in order, whatever the others do. The addresses are tried in order, each once a step at most.
func TestOneAgentOfSeveralIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 4).Draw(t, "addresses")
		good := rapid.IntRange(0, n-1).Draw(t, "good")
		troubles := rapid.SliceOfN(rapid.Map(rapid.IntRange(int(fine), int(unavailable)), func(i int) trouble { return trouble(i) }), 1, 40).Draw(t, "troubles")
		steps := rapid.IntRange(1, 12).Draw(t, "steps")
		rapid.SyncTest(t, func(t *rapid.T) {
			shared := &sharedSession{judged: map[protocol.ReqID]int{}}
			first, at := true, 0
			next := func(address int) func() trouble {
				return func() trouble {
					if address == good || first { // the client must know that reqs are known
						first = false
						return fine
					}
					at++
					return troubles[at%len(troubles)]
				}
			}
			var tried []string
			c, err := client.Dial(t.Context(), "a:1", client.Options{
				Fallbacks: fallbacks(n), OnRetry: func(r client.Retry) { tried = append(tried, r.Address) },
				Dial: func(_ context.Context, _, address string) (net.Conn, error) {
					i := int(address[0] - 'a')
					if i != good && !first && troubles[(at+1)%len(troubles)] == refused {
						at++
						return nil, errRefused
					}
					near, far := net.Pipe()
					go shared.serve(far, next(i))
					return near, nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			for number := 1; number <= steps; number++ {
				tried = nil
				from := c.Address()
				r := inSession(step(1, time.Minute))
				r.Req = protocol.TextReq(fmt.Sprint(number))
				result, err := c.Exchange(t.Context(), r)
				if err != nil || !result.Reply.OK() || result.Done != result.Sent || result.Away != 0 {
					t.Fatalf("step %d: %+v after %v, error %v", number, result.Reply, result.Done.Sub(result.Sent), err)
				}
				if shared.judged[r.Req] != number || len(shared.judged) != number {
					t.Fatalf("step %d: judged %v", number, shared.judged)
				}
				if err := inOrder(from, append(tried, result.Address), n); err != nil {
					t.Fatalf("step %d: %v", number, err)
				}
				time.Sleep(time.Second)
			}
		})
	})
}

// inOrder returns an error unless the addresses follow each other. A connection that was lost before the step
// is one that was tried, so the first may come once more.
func inOrder(from string, tried []string, n int) error {
	if len(tried) > n+1 {
		return fmt.Errorf("%d addresses were tried one after the other: %s", n, strings.Join(tried, " "))
	}
	for i, address := range tried {
		if want := string('a'+byte((int(from[0]-'a')+i)%n)) + ":1"; address != want {
			return fmt.Errorf("%s was tried, want %s, in %s from %s", address, want, strings.Join(tried, " "), from)
		}
	}
	return nil
}
