package session_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A fieldClient runs a procedure as clients have done since before there were session names:
// one connection for every step, some of which are wrong.
type fieldClient struct {
	*agent
	name      string
	interval  time.Duration
	connected time.Duration // how long a connection stays open after the reply
	unseen    time.Duration // how long its end is not seen
	gone      bool          // though it can be asked for
	late      time.Duration // the most by which it comes after its interval
	random    *rand.Rand
}

// run goes through the procedure and returns at the time at which the next one may begin.
func (f *fieldClient) run(round int) {
	for n, id := range []int64{1, 2, 100, 4, 5, 6, 7, 8, 9, 10} {
		var closed atomic.Bool
		var gone func() bool
		if f.gone {
			gone = closed.Load
		}
		c := f.connectPeer(here, gone)
		want := ok(id)
		switch id {
		case 100:
			want = "100 out_of_order"
		case 10:
			want = "10 ok end"
		}
		sent := time.Now()
		answer := do(c, every(f.interval, step(id)))
		if got := said(answer); got != want {
			f.Errorf("%s, round %d, step %d: got %q (%s), want %q", f.name, round, n+1, got, answer.Reply.Detail, want)
		}
		if took := time.Since(sent); took > options.TakeoverWait {
			f.Errorf("%s, round %d, step %d took %v", f.name, round, n+1, took)
		}
		pause := time.Now().Add(f.interval + time.Duration(f.random.Int64N(int64(f.late)+1)))
		time.Sleep(f.connected)
		closed.Store(true)
		time.AfterFunc(f.unseen, c.Close)
		time.Sleep(time.Until(pause))
	}
}

// TestCrowd has fifty clients of one address run procedures with a wrong step in them, each
// in a phase of its own, and one with a connection that lasts. All are served.
func TestCrowd(t *testing.T) {
	t.Parallel()
	rounds := soaktest.Repetitions(t, 200, 2)
	for name, kind := range map[string]fieldClient{
		"late":                 {late: 30 * time.Millisecond},
		"late, end seen later": {late: 30 * time.Millisecond, unseen: 200 * time.Millisecond, connected: 150 * time.Millisecond},
		"closed at once":       {},
		"closed late":          {connected: 90 * time.Millisecond},
		"end seen late":        {unseen: 60 * time.Millisecond},
		"end seen very late":   {unseen: 300 * time.Millisecond, connected: 150 * time.Millisecond},
		"end can be asked for": {unseen: 300 * time.Millisecond, connected: 150 * time.Millisecond, gone: true},
	} {
		for _, dead := range []int{0, 3} {
			if dead > 0 && kind.late > 0 {
				continue // a late wrong step looks like a client that never comes back
			}
			t.Run(fmt.Sprintf("%s, %d of them die", name, dead), func(t *testing.T) {
				t.Parallel()
				inBubble(t, func(a *agent) {
					const clients = 50
					random := rand.New(rand.NewPCG(uint64(len(name)), uint64(dead)))
					var running sync.WaitGroup
					for n := range clients {
						client := kind
						client.random = rand.New(rand.NewPCG(random.Uint64(), 0))
						client.agent, client.name = a, fmt.Sprint("client ", n)
						client.interval = 300*time.Millisecond + time.Duration(random.Int64N(int64(2*time.Second)))
						phase := time.Duration(random.Int64N(int64(5 * time.Second)))
						if n < dead {
							time.AfterFunc(phase, func() { a.want("1 ok", a.once(here, every(client.interval, step(1)))) })
							continue
						}
						running.Go(func() {
							time.Sleep(phase)
							for round := range rounds {
								client.run(round)
							}
						})
					}
					running.Go(func() { a.persist(rounds) })
					running.Wait()
					time.Sleep(time.Second) // until the last end has been seen
					if got, want := a.Stats().Completed, uint64((clients-dead+1)*rounds); got != want {
						t.Errorf("%d sessions were completed, want %d", got, want)
					}
				})
			})
		}
	}
}

// persist runs procedures over one connection, a wrong step in each.
func (a *agent) persist(rounds int) {
	c := a.connect(here)
	defer c.Close()
	for range rounds {
		for _, id := range []int64{1, 2, 3, 100, 5, 6, 7, 8, 9} {
			want := ok(id)
			if id == 100 {
				want = "100 out_of_order"
			}
			a.want(want, do(c, every(777*time.Millisecond, step(id))))
			time.Sleep(777 * time.Millisecond)
		}
		a.want("10 ok end", do(c, step(10)))
	}
}

// TestCrowdInStep: clients in the very same phase that make the same mistakes are all
// served, whichever of their sessions each gets.
func TestCrowdInStep(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		const clients = 30
		var running sync.WaitGroup
		for n := range clients {
			running.Go(func() {
				client := fieldClient{agent: a, name: fmt.Sprint("client ", n), interval: time.Second}
				client.random = rand.New(rand.NewPCG(uint64(n), 0))
				client.run(0)
			})
		}
		running.Wait()
		synctest.Wait()
		got := a.Stats()
		if got.ByReason[protocol.OutOfOrder] != clients {
			t.Errorf("by reason: %v", got.ByReason)
		}
		got.ByReason = nil
		if want := (session.Stats{Completed: clients, Passed: 9 * clients, Failed: clients}); !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v", got)
		}
	})
}
