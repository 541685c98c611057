package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

const (
	killsClientCount = 24
	// killsEarly is an interval that the client does not keep: it goes on at once.
	killsEarly = time.Minute
	killsKept  = 20 // replies that a client can ask for again
)

// killsClients perform sessions against agents that end again and again.
type killsClients struct {
	t       *testing.T
	halt    chan struct{}
	running *sync.WaitGroup
	judged  *atomic.Int64
	resent  *atomic.Int64 // by the client
	asked   *atomic.Int64 // by the test, after the client gave up
	again   *atomic.Int64 // judged before, and asked for again
}

func newKillsClients(t *testing.T) killsClients {
	return killsClients{t, make(chan struct{}), new(sync.WaitGroup), new(atomic.Int64), new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)}
}

// begin lets the clients begin, each at another of the agents' addresses, and waits until each has had a
// reply: the first is not sent again.
func (k killsClients) begin(addresses ...string) {
	k.t.Helper()
	ctx := k.t.Context()
	k.t.Cleanup(k.running.Wait) // ctx has ended by then
	for n := range killsClientCount {
		first := n % len(addresses)
		c := newKillsClient(ctx, k, n, slices.Concat(addresses[first:], addresses[:first]))
		k.running.Go(func() {
			defer func() { _ = c.conn.Close() }()
			for round := 0; ; round++ {
				select {
				case <-k.halt:
					return
				default:
				}
				// A name is used again, and its replies stay.
				session := fmt.Sprintf("kills-%d-%d", n, round%3)
				if err := c.perform(ctx, session); err != nil {
					if ctx.Err() == nil {
						k.t.Errorf("session %s, round %d: %v", session, round, err)
					}
					return
				}
			}
		})
	}
	k.steps(10 * killsClientCount)
}

// steps waits for some more steps.
func (k killsClients) steps(n int64) {
	k.t.Helper()
	goal := k.judged.Load() + n
	waitFor(k.t, "more steps", func() bool { return k.judged.Load() >= goal || k.t.Failed() })
}

// finish lets the clients finish their sessions.
func (k killsClients) finish() {
	close(k.halt)
	k.running.Wait()
}

func (k killsClients) report() {
	k.t.Logf("%d steps; clients sent %d again, and asked %d times more; %d replies were asked for again",
		k.judged.Load(), k.resent.Load(), k.asked.Load(), k.again.Load())
}

// A killsClient performs sessions, and checks every reply.
type killsClient struct {
	kills  killsClients
	random *rand.Rand
	conn   *client.Client
	number int
	reqs   int
	kept   []killsExchange
}

// A killsExchange is a request with its reply, as the agent sent it.
type killsExchange struct {
	request protocol.Request
	reply   string
}

func newKillsClient(ctx context.Context, k killsClients, n int, addresses []string) *killsClient {
	k.t.Helper()
	conn, err := client.Dial(ctx, addresses[0], client.Options{RetryFor: patience, Fallbacks: addresses[1:]})
	if err != nil {
		k.t.Fatal(err)
	}
	return &killsClient{kills: k, random: rand.New(rand.NewPCG(uint64(n), 17)), conn: conn, number: n}
}

// perform performs one session.
func (c *killsClient) perform(ctx context.Context, session string) error {
	m := &model{next: 1}
	early := false // the step comes too early
	for m.judged < soakSteps {
		step := m.draw(c.random)
		request := protocol.Request{StepID: int64(step.id), Session: session, Req: c.req()}
		if step.timeout > 0 {
			request.Timeout = protocol.Seconds(time.Duration(step.timeout * float64(time.Second)))
		}
		if interval := c.interval(); interval > 0 {
			request.Interval = protocol.Seconds(interval)
		}
		reply, err := c.settle(ctx, request)
		if err != nil {
			return fmt.Errorf("step %d: %w", m.judged+1, err)
		}
		reasons, end := m.judge(step)
		if early {
			reasons = append(reasons, "interval_not_kept")
		}
		if err := check(request, reply, reasons, end); err != nil {
			return fmt.Errorf("step %d: %w", m.judged, err)
		}
		c.kills.judged.Add(1)
		c.keep(request, reply)
		if c.random.IntN(20) == 0 {
			if err := c.askAgain(ctx); err != nil {
				return fmt.Errorf("after step %d: %w", m.judged, err)
			}
		}
		if early = request.Interval.Duration == killsEarly; !early {
			time.Sleep(request.Interval.Duration)
		}
	}
	return nil
}

// req returns a req that this client has not used.
func (c *killsClient) req() protocol.ReqID {
	c.reqs++
	return protocol.TextReq(fmt.Sprintf("%d.%d", c.number, c.reqs))
}

// interval returns one to declare; 0 for none.
func (c *killsClient) interval() time.Duration {
	switch c.random.IntN(16) {
	case 0:
		return killsEarly
	case 1:
		return 300 * time.Millisecond
	case 2, 3, 4:
		return 20 * time.Millisecond
	default:
		return 0
	}
}

// settle sends a request, if need be again and again with the same req, until it has been judged.
func (c *killsClient) settle(ctx context.Context, request protocol.Request) (protocol.Reply, error) {
	for try := 0; ; try++ {
		result, err := c.conn.Exchange(ctx, request)
		c.kills.resent.Add(int64(max(result.Tries-1, 0)))
		unknown := errors.Is(err, client.ErrTimeout) || errors.Is(err, client.ErrConnectionLost) || errors.Is(err, client.ErrUnreachable)
		if err != nil && !unknown || result.Reply.Reason == protocol.Internal {
			return protocol.Reply{}, fmt.Errorf("%+v got %+v: %w", request, result.Reply, err)
		}
		if err == nil && !result.Reply.Reason.AgentsOwn() {
			return result.Reply, nil
		}
		if try == 100 {
			return protocol.Reply{}, fmt.Errorf("%+v is not judged: %+v: %w", request, result.Reply, err)
		}
		c.kills.asked.Add(1)
		time.Sleep(20 * time.Millisecond)
	}
}

// check compares a reply to what the model says.
func check(request protocol.Request, reply protocol.Reply, reasons []string, end bool) error {
	right := reply.OK() && len(reasons) == 0 || reply.ErrorCode == 1 && slices.Contains(reasons, string(reply.Reason))
	if !right || reply.End != end || reply.StepID == nil || *reply.StepID != request.StepID || reply.Session != request.Session || reply.Req != request.Req {
		return fmt.Errorf("%s got %s, want one of %q, end %t", asked(request), answered(reply), reasons, end)
	}
	return nil
}

func asked(r protocol.Request) string {
	return strings.TrimSpace(string(protocol.AppendRequest(nil, r)))
}
func answered(r protocol.Reply) string {
	return strings.TrimSpace(string(protocol.AppendReply(nil, r)))
}

func (c *killsClient) keep(request protocol.Request, reply protocol.Reply) {
	reply.Agent = "" // differs by connection
	c.kept = append(c.kept, killsExchange{request, answered(reply)})
	c.kept = c.kept[max(0, len(c.kept)-killsKept):]
}

// askAgain sends a request that was judged some steps ago: it gets the reply that it got then.
func (c *killsClient) askAgain(ctx context.Context) error {
	before := c.kept[c.random.IntN(len(c.kept))]
	reply, err := c.settle(ctx, before.request)
	if err != nil {
		return err
	}
	c.kills.again.Add(1)
	reply.Agent = ""
	if got := answered(reply); got != before.reply {
		return fmt.Errorf("%s was answered by %s and then by %s", asked(before.request), before.reply, got)
	}
	return nil
}
