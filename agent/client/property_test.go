package client_test

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A quirk is how an agent behaves towards one request.
type quirk struct {
	Delay  time.Duration
	Times  int
	Apart  time.Duration
	Echo   bool
	OldReq bool // the req of the request before is sent back
	OtherID,
	NullID bool
	Code int
	Hang bool // the connection is closed afterwards
}

func quirks(anyEcho bool) *rapid.Generator[quirk] {
	flag := func(t *rapid.T, name string, often int) bool { return rapid.IntRange(0, often).Draw(t, name) == 0 }
	delay := rapid.SampledFrom([]time.Duration{0, 1, time.Second, 2*time.Second - 1, 2 * time.Second, 3 * time.Second})
	return rapid.Custom(func(t *rapid.T) quirk {
		return quirk{
			Delay:  delay.Draw(t, "delay"),
			Times:  rapid.SampledFrom([]int{1, 1, 1, 1, 0, 2}).Draw(t, "times"),
			Apart:  delay.Draw(t, "apart"),
			Echo:   anyEcho && !flag(t, "no echo", 5),
			OldReq: flag(t, "old req", 9), OtherID: flag(t, "other id", 9), NullID: flag(t, "null id", 9),
			Code: rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "code"),
			Hang: flag(t, "hang up", 9),
		}
	})
}

// serve answers the requests of one connection. Each reply has in its detail what it truly
// is the reply to, wherever it arrives.
func serve(conn net.Conn, plan []quirk) {
	defer func() { _ = conn.Close() }() // what is not sent yet is lost, as it may be
	messages := protocol.NewReader(conn, 0)
	var before protocol.ReqID
	for {
		message, err := messages.Next()
		if err != nil {
			return
		}
		r, err := protocol.DecodeRequest(message)
		if err != nil {
			panic(err)
		}
		number, err := strconv.Atoi(string(r.Data[len(`{"n":`) : len(r.Data)-1]))
		if err != nil {
			panic(err)
		}
		q := plan[number]
		id := r.StepID
		reply := protocol.Reply{StepID: &id, ErrorCode: q.Code, Detail: strconv.Itoa(number)}
		if q.OtherID {
			id = 3 - id
		}
		if q.NullID {
			reply.StepID = nil
		}
		if q.Echo {
			reply.Req = r.Req
		}
		if q.OldReq {
			reply.Req = before
		}
		before = r.Req
		for i := range q.Times {
			time.AfterFunc(q.Delay+time.Duration(i)*q.Apart, func() {
				_, _ = conn.Write(protocol.AppendReply(nil, reply)) // the client may have hung up
			})
		}
		if q.Hang {
			time.Sleep(q.Delay)
			return
		}
	}
}

// For all behaviour of an agent but a forgery: a pass is the answer to the request that was
// asked, and came in time.
func TestPassIsOnlyEverTheReplyToTheRequest(t *testing.T) {
	const timeout = 2 * time.Second
	passes := 0
	rapid.Check(t, func(t *rapid.T) {
		plan := rapid.SliceOfN(quirks(rapid.Bool().Draw(t, "echo")), 1, 12).Draw(t, "plan")
		ids := rapid.SliceOfN(rapid.Int64Range(1, 2), len(plan), len(plan)).Draw(t, "ids")
		gaps := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, time.Second, 4 * time.Second}),
			len(plan), len(plan)).Draw(t, "gaps")
		retryFor := rapid.SampledFrom([]time.Duration{-1, 0, time.Second}).Draw(t, "retry for")
		addresses := rapid.IntRange(1, 3).Draw(t, "addresses")
		rapid.SyncTest(t, func(t *rapid.T) {
			var scripts []func(*peer)
			for range 30 * len(plan) {
				scripts = append(scripts, func(p *peer) { serve(p.conn, plan) })
			}
			calls := 0
			c, err := client.Dial(t.Context(), "agent:8080", client.Options{
				Dial: dialer(scripts...), RetryFor: retryFor, Fallbacks: fallbacks(addresses),
				OnStray: func(client.Stray) {
					if calls++; calls != 1 {
						t.Error("two strays at once")
					}
					calls--
				}})
			if err != nil {
				t.Fatal(err)
			}
			for n, id := range ids {
				r := step(id, timeout)
				r.Data = fmt.Appendf(nil, `{"n":%d}`, n)
				result, err := c.Exchange(t.Context(), r)
				took := result.Done.Sub(result.Sent)
				switch {
				case err == nil && result.Reply.OK():
					passes++
					if result.Reply.Detail != strconv.Itoa(n) || took >= timeout {
						t.Fatalf("request %d passed by the reply to %s after %v", n, result.Reply.Detail, took)
					}
				case result.Tries < 1, result.Tries > 1 && retryFor < 0, result.Away < 0, result.Away > took:
					t.Fatalf("request %d was sent %d times, away %v of %v", n, result.Tries, result.Away, took)
				case err == nil, errors.Is(err, client.ErrWrongReply), errors.Is(err, client.ErrConnectionLost):
				case errors.Is(err, client.ErrTimeout):
					if took != timeout {
						t.Fatalf("request %d timed out after %v", n, took)
					}
				default:
					t.Fatalf("request %d: %v", n, err)
				}
				time.Sleep(gaps[n])
			}
			_ = c.Close()
			time.Sleep(time.Minute) // until everything that was delayed is over
		})
	})
	if passes == 0 && !testing.Short() { // the few rounds of a short test may hold none
		t.Error("nothing ever passed")
	}
}
