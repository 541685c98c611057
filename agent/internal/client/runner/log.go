package runner

import (
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A log turns what happens into the events of the record. The run and the reader of the
// connection write to it at the same time.
type log struct {
	began time.Time
	emit  func(record.Event)

	mu sync.Mutex
	// live is what the events come to; wrong is set when they contradict one another, which is
	// a defect.
	live  record.Live
	wrong error
	// index is the place of the step whose turn it is; waiting tells that it was sent and is
	// not settled.
	index   int
	waiting bool
	// places are the steps that were sent, by their req.
	places map[protocol.ReqID]int
	// held are strays of the step that is being settled. They are recorded after what they
	// follow.
	held []record.Event
	// room is how many strays may still be kept. Those that came after the last of them are
	// counted in dropped, until an event tells their number; dropping is set by the first.
	room, dropped int
	dropping      bool
}

func newLog(emit func(record.Event), maxStrays int) *log {
	return &log{began: time.Now(), emit: emit, places: map[protocol.ReqID]int{}, room: maxStrays}
}

// add records an event as one of now.
func (l *log) add(e record.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(e)
}

// write is add for a caller that holds the lock. Before the event it tells how many strays were
// dropped since the last one, so that no more is written for them than for the steps.
func (l *log) write(e record.Event) {
	if n := l.dropped; n > 0 {
		l.dropped = 0
		l.write(record.Event{Kind: record.KindDropped, Count: n})
	}
	e.At = time.Since(l.began)
	if l.wrong == nil {
		_, l.wrong = l.live.Add(e)
	}
	l.emit(e)
}

// during calls something that must not happen while an event is emitted.
func (l *log) during(call func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	call()
}

func (l *log) start(s record.Start) { l.add(record.Event{Kind: record.KindStart, Start: &s}) }

// turn says whose turn it is.
func (l *log) turn(index int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index = index
}

// sent records that the request of the step whose turn it is goes out.
func (l *log) sent(r protocol.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !r.Req.IsZero() {
		l.places[r.Req] = l.index
	}
	l.waiting = true
	l.write(record.Event{Kind: record.KindSent, Index: l.index, StepID: r.StepID, Req: r.Req,
		Timeout: r.Timeout.Duration, Interval: r.Interval.Duration})
}

// settle records what became of the step whose turn it was.
func (l *log) settle(e record.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(e)
	l.waiting = false
	for _, stray := range l.held {
		l.write(stray)
	}
	l.held = nil
}

// stray records what came and is no answer to the step whose turn it is.
func (l *log) stray(s client.Stray) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := record.Event{Kind: record.KindStray, Reply: s.Reply, Detail: s.Problem}
	if place, ok := l.places[s.Request.Req]; ok {
		e.Index, e.StepID = place, s.Request.StepID
	}
	switch s.Kind {
	case client.Late: // at most one for each step
		e.Kind, e.Took, e.Detail = record.KindLate, s.Took, ""
	case client.Duplicate:
		e.Stray = record.StrayDuplicate
	case client.Unsolicited:
		e.Stray = record.StrayUnsolicited
	case client.Garbage:
		e.Stray = record.StrayGarbage
	}
	if e.Kind == record.KindStray {
		if l.room == 0 {
			l.drop()
			return
		}
		l.room--
	}
	if l.waiting && e.Index == l.index {
		l.held = append(l.held, e)
		return
	}
	l.write(e)
}

// drop counts a stray that is not kept. The first one is recorded at once, so that the record
// of a client that is killed does not look whole.
func (l *log) drop() {
	if l.dropping {
		l.dropped++
		return
	}
	l.dropping = true
	l.write(record.Event{Kind: record.KindDropped, Count: 1})
}

// end records the end of the run and returns what the run comes to. Strays of a step that was
// never settled are no evidence of anything, and are left out.
func (l *log) end(cause record.Cause) (record.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong != nil {
		return record.Run{}, l.wrong
	}
	l.write(record.Event{Kind: record.KindEnd, End: &record.End{Cause: cause, Counts: l.live.Run().Counts}})
	if l.wrong != nil {
		return record.Run{}, l.wrong
	}
	return l.live.Run(), nil
}
