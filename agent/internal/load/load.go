// Package load puts an agent under the load of many clients and holds it to its word: every
// reply is compared with the one that must come, and how long it took goes into a histogram.
//
// Each client has a connection and a session of its own and performs a procedure over and
// over, one step at a time. In a closed loop it sends the next step as soon as it has the
// reply to the last. With a rate, steps have times at which they are to be sent, whatever
// became of the others, and a reply's time counts from then: an agent that falls behind
// cannot slow down the clock that it is measured by.
//
// At the end each session is taken to its last step, outside of the measurement, so that the
// agent keeps none open for a client that will not come back.
//
// What a client does when something goes wrong is the same everywhere. A step that the agent
// could not judge is sent again. After anything else the client gives up its connection,
// makes another and begins the procedure anew in a new session, since it cannot know how much
// of the old one there still is.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of a load.
const (
	// MaxClients is the largest number of clients: more than one address can have
	// connections to one port, ip(7).
	MaxClients = 64000
	// DefaultWait is how long a reply or a connection is waited for, unless set otherwise.
	DefaultWait = 10 * time.Second
	// maxDialing is how many connections are being made at the same time before the start, so
	// that no agent's queue of new connections overflows, listen(2).
	maxDialing = 128
)

// Reconnect says when a client makes a new connection.
type Reconnect uint8

// The choices. The zero value keeps a connection for as long as it lasts.
const (
	// Never keeps one connection for all sessions.
	Never Reconnect = iota
	// EachSession makes a connection for each session.
	EachSession
	// EachStep makes a connection for each step, which names its session.
	EachStep
)

// Options say what load there is to be.
type Options struct {
	// Address is the agent's, as host:port.
	Address string
	// Clients is how many clients there are, 1 to MaxClients.
	Clients int
	// Duration is how long steps are sent. Replies to the last of them are waited for.
	Duration time.Duration
	// Rate is how many steps are to be sent in a second, by all clients together; 0 for a
	// closed loop.
	Rate float64
	// Reconnect says when a client makes a new connection.
	Reconnect Reconnect
	// Wait bounds the wait for a reply and for a connection; 0 means DefaultWait.
	Wait time.Duration
	// Plan is what the clients say and what must come back.
	Plan Plan
	// Progress, when not nil, is called every ProgressInterval with the result so far, by one
	// goroutine at a time.
	Progress         func(Result)
	ProgressInterval time.Duration
}

// Check says what is wrong with the options.
func (o Options) Check() error {
	switch {
	case o.Clients < 1 || o.Clients > MaxClients:
		return fmt.Errorf("the number of clients is 1 to %d, not %d", MaxClients, o.Clients)
	case o.Duration <= 0:
		return errors.New("the duration must be above 0")
	case !(o.Rate >= 0) || o.Rate > float64(time.Second):
		return errors.New("the rate is a number of steps a second, 0 or more and at most a thousand million")
	case o.Plan == nil:
		return errors.New("there is no plan")
	}
	return nil
}

// ErrUnreachable is returned by Run when not one client got a connection.
var ErrUnreachable = errors.New("no agent could be reached")

// A run is one load under way.
type run struct {
	options Options
	name    string // common to the names of all its sessions
	tallies []*tally
	clients []*client
	begins  time.Time
	ends    time.Time
	stopped atomic.Bool
}

// Run puts the load on the agent and returns what came of it. It returns when all clients
// have their last reply, or have waited for it long enough. When the context ends before the
// duration, so does the load. An error means that there was no load.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Check(); err != nil {
		return Result{}, err
	}
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	if err := allowFiles(o.Clients + spareFiles); err != nil {
		return Result{}, err
	}
	r := newRun(o)
	if err := r.connect(ctx); err != nil {
		return Result{}, err
	}
	r.begins = time.Now()
	r.ends = r.begins.Add(o.Duration)
	defer context.AfterFunc(ctx, func() { r.stopped.Store(true) })()
	done := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() { r.watch(done) })
	aside.Go(func() { r.report(done) })
	var clients sync.WaitGroup
	for _, c := range r.clients {
		clients.Go(func() { c.perform(ctx) })
	}
	clients.Wait()
	close(done)
	aside.Wait()
	return r.result(time.Now()), nil
}

func newRun(o Options) *run {
	r := &run{options: o, name: fmt.Sprintf("load-%06x", rand.Uint32N(1<<24))}
	for range min(o.Clients, 4*runtime.GOMAXPROCS(0)) {
		r.tallies = append(r.tallies, newTally(o.Wait))
	}
	for i := range o.Clients {
		r.clients = append(r.clients, newClient(r, i))
	}
	return r
}

// connect gives every client its first connection, before the clock starts.
func (r *run) connect(ctx context.Context) error {
	var dialing sync.WaitGroup
	slots := make(chan struct{}, maxDialing)
	for _, c := range r.clients {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		dialing.Go(func() {
			defer func() { <-slots }()
			c.connect(ctx)
		})
	}
	dialing.Wait()
	if err := ctx.Err(); err != nil {
		r.hangUp()
		return context.Cause(ctx)
	}
	result := r.result(time.Now())
	if result.Made > 0 {
		return nil
	}
	return fmt.Errorf("%w at %s: %s", ErrUnreachable, r.options.Address, result.example(refused))
}

func (r *run) hangUp() {
	for _, c := range r.clients {
		c.disconnect()
	}
}

// watch ends waits that have lasted too long. It looks at all clients once in a while, since
// a deadline set at each step would cost more than the step.
func (r *run) watch(done <-chan struct{}) {
	tick := time.NewTicker(min(max(r.options.Wait/20, 5*time.Millisecond), time.Second))
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			for _, c := range r.clients {
				c.expire(now.Add(-r.options.Wait))
			}
		}
	}
}

// report calls Progress until the load is over.
func (r *run) report(done <-chan struct{}) {
	if r.options.Progress == nil || r.options.ProgressInterval <= 0 {
		return
	}
	tick := time.NewTicker(r.options.ProgressInterval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			r.options.Progress(r.result(now))
		}
	}
}

// over reports whether no further step is to be sent.
func (r *run) over(now time.Time) bool { return !now.Before(r.ends) || r.stopped.Load() }

// result adds up what the clients have counted by now.
func (r *run) result(now time.Time) Result {
	result := Result{Clients: r.options.Clients, Rate: r.options.Rate, latency: newHistogram(r.options.Wait)}
	for _, t := range r.tallies {
		t.addTo(&result)
	}
	if !r.begins.IsZero() {
		if now.After(r.ends) && !result.last.IsZero() {
			now = result.last
		}
		result.Elapsed = max(now.Sub(r.begins), 0)
	}
	return result
}
