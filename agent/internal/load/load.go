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
