package sdk

import (
	"bufio"
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// portBuffer is how much is read from a data path at once, in bytes.
	portBuffer = 32 << 10
	// slowBatch is the time in one batch after which its other calls are judged on all cores.
	slowBatch = 500 * time.Microsecond
	// maxKeptBytes is the largest buffer that is kept for the next batch.
	maxKeptBytes = 1 << 20
)

// A port is the plugin's end of a data path.
//
// One goroutine, the leader, reads a batch, judges its calls one after the other and writes
// the answers. Nothing is handed from one goroutine to another, which for validators that
// take less than a microsecond would be most of the work. When a step takes long, the watch
// sees that the leader does not get on, and another goroutine takes the lead with the calls
// that are left; the slow one is left alone with its step.
//
// The beat decides who has the lead, without a lock. The leader makes it odd before it judges
// a call and even after; in between the watch may make it even in the leader's place, and then
// the leader's turn is the watch's to hand on. Whoever comes second sees that it has changed.
type port struct {
	in        *bufio.Reader // the leader's
	instances []instance
	ctx       context.Context
	stop      context.CancelCauseFunc

	beat   atomic.Uint64
	busy   atomic.Int32 // goroutines that judge
	asleep atomic.Bool  // the watch
	wake   chan struct{}

	writing sync.Mutex
	conn    io.ReadWriter
}

// A turn is the time of one leader, who owns it.
type turn struct {
	beat  uint64 // that of the port, as long as the turn lasts
	batch *batch
	out   []byte // the answers to calls that are done, a frame to be sealed
}

// A batch is calls that came together.
type batch struct {
	calls  [][]byte
	begun  atomic.Int32 // more than so many of them nobody has begun
	came   time.Time
	buffer []byte // holds the calls
	shared bool   // it is not the leader's alone; for the leader
}

func newPort(conn io.ReadWriter, instances []instance) *port {
	p := &port{in: bufio.NewReaderSize(conn, portBuffer), conn: conn, instances: instances, wake: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	return p
}

// run serves until the agent closes the data path or breaks the contract. Steps that are
// being judged then are left to themselves: nobody waits for them.
func (p *port) run() error {
	t := &turn{batch: &batch{}}
	p.busy.Store(1)
	go p.watch(t)
	go p.lead(t)
	<-p.ctx.Done()
	return context.Cause(p.ctx)
}

// lead judges batch after batch until the port is closed or another takes the lead.
func (p *port) lead(t *turn) {
	defer p.busy.Add(-1)
	w := newWorker(p)
	for w.work(t) {
		if err := p.answer(t); err != nil {
			p.stop(err)
			return
		}
		if err := p.read(t); err != nil {
			p.stop(err)
			return
		}
	}
}

// begin says that the leader judges a call now.
func (p *port) begin(t *turn) {
	t.beat++
	p.beat.Store(t.beat)
	// After the beat, so that either the watch sees this one or the leader that the watch sleeps.
	if p.asleep.Load() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
}

// done says that the call is judged; false when the turn has gone to another meanwhile.
func (p *port) done(t *turn) bool {
	t.beat++
	return p.beat.CompareAndSwap(t.beat-1, t.beat)
}

// read reads the next batch.
func (p *port) read(t *turn) error {
	if t.batch.shared {
		t.batch = &batch{}
	}
	b := t.batch
	request, err := ReadFrame(p.in, b.buffer)
	if err != nil {
		return err
	}
	b.buffer, b.came = request, time.Now()
	b.begun.Store(0)
	b.calls, err = SplitCalls(request, b.calls[:0])
	return err
}

// take returns a call that nobody has begun; false when there is none.
func (b *batch) take() (call []byte, ok bool) {
	n := int(b.begun.Add(1))
	if n > len(b.calls) {
		return nil, false
	}
	return b.calls[n-1], true
}

// answer writes the answers of a turn.
func (p *port) answer(t *turn) error {
	err := p.write(t.out)
	if cap(t.out) > maxKeptBytes {
		t.out = nil
	}
	t.out = t.out[:0]
	return err
}

// write seals and writes a frame; an empty one is none.
func (p *port) write(frame []byte) error {
	if len(frame) <= FrameHeaderBytes {
		return nil
	}
	SealFrame(frame)
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.conn.Write(frame)
	return err
}

// spread has the other cores help with a batch that takes long.
func (p *port) spread(b *batch) {
	left := len(b.calls) - int(b.begun.Load())
	for range min(runtime.GOMAXPROCS(0)-1, left, maxConcurrent-int(p.busy.Load())) {
		p.busy.Add(1)
		b.shared = true
		go func() {
			defer p.busy.Add(-1)
			newWorker(p).help(b)
		}()
	}
}
