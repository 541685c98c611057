// Package load puts an agent under the load of many clients and holds it to its word: every
// reply is compared with the one that must come, and how long it took goes into a histogram.
//
// Each client has a connection and a session of its own and performs a procedure over and
// over, one step at a time. In a closed loop it sends the next step as soon as it has the
// reply to the last. With a rate, steps have times at which they are to be sent, whatever
// became of the others, and a reply's time counts from then: an agent that falls behind
// cannot slow down the clock that it is measured by.
//
// A few event loops serve all clients of a closed loop that keep their connections, so that what
// the generator takes of the machine is little more than what the kernel needs for the messages.
// A client has a goroutine only while something unusual happens to it, with a rate, with new
// connections for sessions or steps, and where there are no event loops.
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

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// loopFiles is how many files an event loop has open itself.
const loopFiles = 2

// ErrUnreachable is returned by Run when not one client got a connection.
var ErrUnreachable = errors.New("no agent could be reached")

// A run is one load under way.
type run struct {
	ctx     context.Context // ends the load before its time
	options Options
	name    string    // common to the names of all its sessions
	made    time.Time // before the clients, who count from it
	tallies []*tally
	clients []*client
	begins  time.Time
	ends    time.Time
	stopped atomic.Bool
	loops   *eventloop.Loops // for parked clients; nil where none is parked
	running sync.WaitGroup   // the clients
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
	if err := allowFiles(o.Clients + spareFiles + loopFiles*loopCount()); err != nil {
		return Result{}, err
	}
	r := newRun(ctx, o)
	if err := r.connect(); err != nil {
		return Result{}, err
	}
	if err := r.startLoops(); err != nil {
		r.hangUp()
		return Result{}, err
	}
	r.begins = time.Now()
	r.ends = r.begins.Add(o.Duration)
	defer context.AfterFunc(ctx, func() { r.stopped.Store(true) })()
	done := make(chan struct{})
	var aside sync.WaitGroup
	aside.Go(func() { r.watch(done) })
	aside.Go(func() { r.report(done) })
	r.running.Add(len(r.clients))
	for _, c := range r.clients {
		c.perform()
	}
	r.running.Wait()
	close(done)
	aside.Wait()
	if r.loops != nil {
		r.loops.Close()
	}
	return r.result(time.Now()), nil
}

func newRun(ctx context.Context, o Options) *run {
	r := &run{ctx: ctx, options: o, made: time.Now(), name: fmt.Sprintf("load-%06x", rand.Uint32N(1<<24))}
	for range min(o.Clients, 4*runtime.GOMAXPROCS(0)) {
		r.tallies = append(r.tallies, newTally(o.Wait))
	}
	for i := range o.Clients {
		r.clients = append(r.clients, newClient(r, i))
	}
	return r
}

// connect gives every client its first connection, before the clock starts.
func (r *run) connect() error {
	var dialing sync.WaitGroup
	slots := make(chan struct{}, maxDialing)
	for _, c := range r.clients {
		slots <- struct{}{}
		if r.ctx.Err() != nil {
			break
		}
		dialing.Go(func() {
			defer func() { <-slots }()
			c.connect()
		})
	}
	dialing.Wait()
	if r.ctx.Err() != nil {
		r.hangUp()
		return context.Cause(r.ctx)
	}
	result := r.result(time.Now())
	if result.Made > 0 {
		return nil
	}
	return fmt.Errorf("%w at %s: %s", ErrUnreachable, r.options.Address, result.example(refused))
}

// loopCount is how many loops there are: a loop does all that there is to be done for a reply, so
// each processor can have one. With half as many, servers on the same machine got less to do.
func loopCount() int { return runtime.GOMAXPROCS(0) }

// startLoops starts loops where clients can be parked.
func (r *run) startLoops() (err error) {
	if r.options.Rate > 0 || r.options.Reconnect != Never {
		return nil
	}
	r.loops, err = eventloop.New(loopCount())
	if errors.Is(err, eventloop.ErrUnsupported) {
		return nil
	}
	return err
}

func (r *run) hangUp() {
	for _, c := range r.clients {
		c.disconnect()
	}
}

// over reports whether no further step is to be sent.
func (r *run) over(now time.Time) bool { return !now.Before(r.ends) || r.stopped.Load() }
