package sdk

import (
	"bufio"
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/plugins/budget"
)

const (
	// portBuffer is how much is read from a data path at once, in bytes.
	portBuffer = 32 << 10
	// slowBatch is the time in one batch after which its other calls are judged on all cores.
	slowBatch = 500 * time.Microsecond
	// slowStep is about how long one step may hold back the others.
	slowStep = 2 * time.Millisecond
	// calmLooks is after how many looks with nothing to see the watch sleeps.
	calmLooks = 50
)

// A port is the plugin's end of a data path.
//
// One goroutine, the leader, reads a batch, judges its calls one after the other and writes
// the answers. Nothing is handed from one goroutine to another, which for validators that
// take less than a microsecond would be most of the work. When a step takes long, the watch
// sees that the leader does not get on, and another goroutine takes the lead with the calls
// that are left; the slow one is left alone with its step.
type port struct {
	in        *bufio.Reader // the leader's
	instances []instance
	ctx       context.Context
	stop      context.CancelCauseFunc

	beat   atomic.Uint64 // odd while the leader judges
	asleep atomic.Bool   // the watch
	wake   chan struct{}

	mu   sync.Mutex
	turn *turn
	busy int // goroutines that judge

	writing sync.Mutex
	conn    io.ReadWriter
}

// A turn is the time of one leader. Guarded by port.mu but for buffer, which is the leader's.
type turn struct {
	over   bool     // another has the lead
	calls  [][]byte // of the batch at hand
	begun  int      // so many of them somebody has begun
	came   time.Time
	out    []byte // the answers to those that are done, a frame to be sealed
	buffer []byte // holds the calls
	split  bool   // others judge calls in the buffer
}

func newPort(conn io.ReadWriter, instances []instance) *port {
	p := &port{in: bufio.NewReaderSize(conn, portBuffer), conn: conn, instances: instances, wake: make(chan struct{}, 1)}
	p.ctx, p.stop = context.WithCancelCause(context.Background())
	return p
}

// run serves until the agent closes the data path or breaks the contract. Steps that are
// being judged then are left to themselves: nobody waits for them.
func (p *port) run() error {
	t := &turn{}
	p.turn, p.busy = t, 1
	p.asleep.Store(true)
	go p.watch()
	go p.lead(t)
	<-p.ctx.Done()
	return context.Cause(p.ctx)
}

// lead judges batch after batch until the port is closed or another takes the lead.
func (p *port) lead(t *turn) {
	w := worker{port: p}
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
	p.leave()
}

// read reads the next batch.
func (p *port) read(t *turn) error {
	if t.split {
		t.buffer, t.split = nil, false
	}
	request, err := ReadFrame(p.in, t.buffer)
	if err != nil {
		return err
	}
	if p.asleep.Load() {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	calls, err := SplitCalls(request, t.calls[:0])
	p.mu.Lock()
	defer p.mu.Unlock()
	t.buffer, t.calls, t.begun, t.came = request, calls, 0, time.Now()
	return err
}

// answer writes the answers of a turn.
func (p *port) answer(t *turn) error {
	p.mu.Lock()
	out := t.out
	t.out = nil
	p.mu.Unlock()
	err := p.write(out)
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.out == nil && cap(out) <= maxKeptBytes {
		t.out = out[:0]
	}
	return err
}

// maxKeptBytes is the largest buffer that is kept for the next batch.
const maxKeptBytes = 1 << 20

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

// take returns a call that nobody has begun; false when there is none or the turn is over.
func (p *port) take(t *turn) (call []byte, came time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.over || t.begun == len(t.calls) {
		return nil, time.Time{}, false
	}
	t.begun++
	return t.calls[t.begun-1], t.came, true
}

// leave notes that a goroutine judges no more.
func (p *port) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
}

// spread has the other cores help with a batch that takes long.
func (p *port) spread(t *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range min(runtime.GOMAXPROCS(0)-1, len(t.calls)-t.begun, maxConcurrent-p.busy) {
		p.busy++
		t.split = true
		go func() {
			w := worker{port: p}
			w.help(t)
			p.leave()
		}()
	}
}

// watch gives the lead to another goroutine when a step holds back the others.
func (p *port) watch() {
	tick := time.NewTicker(slowStep)
	defer tick.Stop()
	last, calm := uint64(0), 0
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		switch now := p.beat.Load(); {
		case now != last:
			last, calm = now, 0
		case now%2 == 1:
			if p.succeed() {
				last = p.beat.Load()
			}
		default:
			calm++
		}
		if calm < calmLooks {
			continue
		}
		tick.Stop()
		p.asleep.Store(true)
		select {
		case <-p.wake:
		case <-p.ctx.Done():
			return
		}
		p.asleep.Store(false)
		calm = 0
		tick.Reset(slowStep)
	}
}

// succeed puts another leader in the place of one that is held up; false when too many
// goroutines are held up already, so that the agent must wait.
func (p *port) succeed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy >= maxConcurrent {
		return false
	}
	old := p.turn
	old.over = true
	p.turn = &turn{calls: old.calls, begun: old.begun, came: old.came, out: old.out}
	old.out = nil
	p.beat.Add(1) // for the new leader is not in a step
	p.busy++
	go p.lead(p.turn)
	return true
}

// A worker judges calls. Its memory is used from call to call.
type worker struct {
	port    *port
	call    Call
	answers []Answer
}

// work judges the calls of a turn as their leader; false when the turn is over.
func (w *worker) work(t *turn) bool {
	p := w.port
	for n := 1; ; n++ {
		message, came, ok := p.take(t)
		if !ok {
			break
		}
		p.beat.Add(1)
		err := w.judge(message, came)
		if !p.keep(t, w, err) {
			return false
		}
		if n%8 == 0 && time.Since(came) > slowBatch {
			p.spread(t)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !t.over
}

// keep adds what the leader has judged to the answers of its turn. False when the turn has
// gone to another meanwhile, or the call was malformed; the answer then goes by itself.
func (p *port) keep(t *turn, w *worker, err error) bool {
	if err != nil {
		p.stop(err)
		return false
	}
	p.mu.Lock()
	if !t.over {
		defer p.mu.Unlock()
		p.beat.Add(1)
		if len(t.out) == 0 {
			t.out = append(t.out, make([]byte, FrameHeaderBytes)...)
		}
		t.out = AppendAnswer(t.out, w.call.Number, w.answers)
		return true
	}
	p.mu.Unlock()
	w.send()
	return false
}

// help judges calls of a turn beside its leader and sends each answer by itself.
func (w *worker) help(t *turn) {
	for {
		message, came, ok := w.port.take(t)
		if !ok {
			return
		}
		if err := w.judge(message, came); err != nil {
			w.port.stop(err)
			return
		}
		w.send()
	}
}

func (w *worker) send() {
	frame := AppendAnswer(make([]byte, FrameHeaderBytes, minFrameBuffer), w.call.Number, w.answers)
	if err := w.port.write(frame); err != nil {
		w.port.stop(err)
	}
}

// judge puts one call to every instance, one after the other.
func (w *worker) judge(message []byte, came time.Time) error {
	if err := w.call.Read(message); err != nil {
		return errors.Join(errors.New("the agent broke the contract"), err)
	}
	ctx := budget.New(w.port.ctx, came.Add(w.call.Budget), nil)
	defer ctx.Release()
	w.answers = w.answers[:0]
	session := w.call.Session
	for i, in := range w.port.instances {
		session.State = nil
		if i < len(w.call.States) && len(w.call.States[i]) > 0 {
			session.State = w.call.States[i]
		}
		w.answers = append(w.answers, in.judge(ctx, session, w.call.Step))
	}
	return nil
}
