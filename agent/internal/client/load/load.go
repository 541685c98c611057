// Package load puts many clients on an agent, compares every reply with the expected one, and
// measures latencies in a histogram.
//
// Each client has a connection and a session of its own and performs a procedure over and over, one
// step at a time. In a closed loop it sends the next step when it has the reply to the last. With a
// rate, each step is due at a fixed time, and its latency counts from then: a slow agent cannot slow
// down the clock that measures it.
//
// A few event loops serve all clients of a closed loop that keep their connections, so that the
// generator takes little of the machine. A client has a goroutine only after a failure, with a rate,
// with new connections for sessions or steps, with TLS, and on systems without event loops.
//
// At the end each client completes its session, unmeasured, so that the agent keeps none open.
//
// A step that the agent could not judge is sent again. After any other failure the client makes a new
// connection and begins a new session, since it cannot know the state of the old one.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/tlsdial"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

const (
	loopFiles  = 2  // open files of an event loop
	spareFiles = 64 // open files besides connections and loops, an upper bound
)

// ErrUnreachable is returned by Run if no client got a connection.
var ErrUnreachable = errors.New("no agent could be reached")

// A run is one load in progress.
type run struct {
	ctx     context.Context // its end ends the load early
	options Options
	name    string    // prefix of session names
	made    time.Time // epoch of client.sent
	tallies []*tally
	clients []*client
	begins  time.Time
	ends    time.Time
	stopped atomic.Bool
	dialer  tlsdial.Dialer
	loops   *eventloop.Loops // of parked clients; nil if none is parked
	running sync.WaitGroup   // the clients
}

// Run performs the load and returns its result, when all clients have their last reply or have
// timed out. If the context ends first, so does the load. An error means that no step was sent.
func Run(ctx context.Context, o Options) (Result, error) {
	if err := o.Check(); err != nil {
		return Result{}, err
	}
	if err := allowFiles(o.Clients + spareFiles + loopFiles*loopCount()); err != nil {
		return Result{}, err
	}
	r := newRun(ctx, o)
	if err := r.connect(); err != nil {
		return Result{}, err
	}
	if err := r.startLoops(); err != nil {
		r.disconnect()
		return Result{}, err
	}
	r.begins = time.Now()
	r.ends = r.begins.Add(o.Duration)
	defer context.AfterFunc(ctx, func() { r.stopped.Store(true) })()
	done := make(chan struct{})
	var watches sync.WaitGroup
	watches.Go(func() { r.watchTimeouts(done) })
	watches.Go(func() { r.reportProgress(done) })
	r.running.Add(len(r.clients))
	for _, c := range r.clients {
		c.start()
	}
	r.running.Wait()
	close(done)
	watches.Wait()
	if r.loops != nil {
		r.loops.Close()
	}
	result := r.result(time.Now())
	if err := r.refusedAll(result); err != nil {
		return Result{}, err
	}
	return result, nil
}

func newRun(ctx context.Context, o Options) *run {
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	r := &run{ctx: ctx, options: o, made: time.Now(), name: fmt.Sprintf("load-%06x", rand.Uint32N(1<<24)),
		dialer: tlsdial.Dialer{Config: o.TLS, Dial: (&net.Dialer{KeepAlive: -1}).DialContext}}
	for range min(o.Clients, 4*runtime.GOMAXPROCS(0)) {
		r.tallies = append(r.tallies, newTally(o.Wait))
	}
	for i := range o.Clients {
		r.clients = append(r.clients, newClient(r, i))
	}
	return r
}

// connect makes the first connection of every client, before the load starts.
func (r *run) connect() error {
	var dialing sync.WaitGroup
	slots := make(chan struct{}, maxDialing)
	for _, c := range r.clients {
		slots <- struct{}{}
		if r.ctx.Err() != nil || r.stopped.Load() {
			break
		}
		dialing.Go(func() {
			defer func() { <-slots }()
			c.connect()
		})
	}
	dialing.Wait()
	if r.ctx.Err() != nil {
		r.disconnect()
		return context.Cause(r.ctx)
	}
	result := r.result(time.Now())
	if err := r.refusedAll(result); err != nil {
		r.disconnect()
		return err
	}
	if result.Made > 0 {
		return nil
	}
	return fmt.Errorf("%w at %s: %s", ErrUnreachable, r.options.Address, result.examples[refused])
}

// loopCount is how many event loops there are. A loop does all the work of a reply, so each processor
// has one; with half as many, servers on the same machine were not fully loaded.
func loopCount() int { return runtime.GOMAXPROCS(0) }

// startLoops starts the event loops if clients can be parked.
func (r *run) startLoops() (err error) {
	if r.options.Rate > 0 || r.options.Reconnect != Never || r.options.TLS != nil {
		return nil
	}
	r.loops, err = eventloop.New(loopCount())
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

func (r *run) disconnect() {
	for _, c := range r.clients {
		c.disconnect()
	}
}

// over reports whether no further step may be sent.
func (r *run) over(now time.Time) bool { return !now.Before(r.ends) || r.stopped.Load() }
