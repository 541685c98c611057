package runner

import (
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A log emits the events of the record. The run and the reader of the connection call it
// concurrently.
type log struct {
	began time.Time
	emit  func(record.Event)

	mu sync.Mutex // guards the rest
	// live folds the events; wrong is set if they contradict each other, which is a defect.
	live  record.Live
	wrong error
	// index is the present step's index; waiting says that it was sent and is not settled.
	index   int
	waiting bool
	sentAs  map[protocol.ReqID]int // index of each sent step
	held    []record.Event         // strays of the present step, until it is settled
	// room is how many more strays may be recorded. dropped counts further ones that no event has
	// reported yet; dropping is set by the first.
	room, dropped int
	dropping      bool
	tls           record.TLS // of the latest connection; zero for none
	// address is the one to which the last request went; before the first, the one of the start.
	address string
	// connecting is set while an interrupted run connects, before it is resumed. Until then no event
	// is emitted: tls and strays follow.
	connecting bool
}

func newLog(opts Options) *log {
	return &log{began: time.Now(), emit: opts.Emit, sentAs: map[protocol.ReqID]int{}, room: opts.MaxStrays, address: opts.Address}
}

// add emits an event with the present time.
func (l *log) add(e record.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(e)
}

// write is add for a caller that holds mu. It first emits the number of strays that were dropped
// since the last event, so that there are at most as many events for them as for steps.
func (l *log) write(e record.Event) {
	if n := l.dropped; n > 0 {
		l.dropped = 0
		l.write(record.Event{Kind: record.KindDropped, Count: n})
	}
	e.At = time.Since(l.began)
	l.put(e)
}

// put emits an event as it is. The caller holds mu.
func (l *log) put(e record.Event) {
	if l.wrong == nil {
		_, l.wrong = l.live.Add(e)
	}
	l.emit(e)
}

// withoutEvents calls a function while no event is emitted.
func (l *log) withoutEvents(call func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	call()
}

func (l *log) start(s record.Start) { l.add(record.Event{Kind: record.KindStart, Start: &s}) }

// secured emits how a connection is secured, unless it is as the one before.
func (l *log) secured(s record.TLS) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setTLS(s)
}

// setTLS is secured for a caller that holds mu.
func (l *log) setTLS(s record.TLS) {
	if s == l.tls {
		return
	}
	l.tls = s
	if !l.connecting {
		l.write(record.Event{Kind: record.KindTLS, TLS: &s})
	}
}

// setStep sets the present step.
func (l *log) setStep(index int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.index = index
}

// other returns an address if it is not the one to which the last request went.
func (l *log) other(address string) string {
	if address == l.address {
		return ""
	}
	return address
}

// sent emits that the request of the present step is being sent to an address, for the first time or again.
func (l *log) sent(r protocol.Request, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := record.Event{Kind: record.KindResent, Index: l.index, StepID: r.StepID, Address: l.other(address)}
	l.address = address
	if l.waiting {
		l.write(e)
		return
	}
	if !r.Req.IsZero() {
		l.sentAs[r.Req] = l.index
	}
	l.waiting = true
	e.Kind, e.Req, e.Timeout, e.Interval = record.KindSent, r.Req, r.Timeout.Duration, r.Interval.Duration
	l.write(e)
}

// again emits that the present step got no verdict and is tried again.
func (l *log) again(r client.Retry) {
	e := record.Event{Kind: record.KindAgain, StepID: r.Request.StepID, Again: &record.Again{Cause: record.Retry(r.Cause)},
		Took: r.Took, Reply: r.Reply}
	if r.Err != nil {
		e.Detail = r.Err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Index, e.Address = l.index, l.other(r.Address)
	l.write(e)
}

// settle emits the outcome of the present step, and then its strays.
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

// stray emits a message that does not answer the present step.
func (l *log) stray(s client.Stray) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := record.Event{Kind: record.KindStray, Reply: s.Reply, Detail: s.Problem}
	if index, ok := l.sentAs[s.Request.Req]; ok {
		e.Index, e.StepID = index, s.Request.StepID
	}
	if s.Kind == client.Late { // at most one for each step
		e.Kind, e.Took, e.Detail = record.KindLate, s.Took, ""
	} else {
		e.Stray = record.Stray(s.Kind.String())
	}
	if e.Kind == record.KindStray {
		if l.room == 0 {
			l.drop()
			return
		}
		l.room--
	}
	if l.connecting || l.waiting && e.Index == l.index {
		l.held = append(l.held, e)
		return
	}
	l.write(e)
}

// drop counts a stray that is not recorded. The first is reported at once, so that the record of a
// killed client shows that strays are missing.
func (l *log) drop() {
	if l.dropping || l.connecting {
		l.dropped++
		return
	}
	l.dropping = true
	l.write(record.Event{Kind: record.KindDropped, Count: 1})
}

// end emits the end of the run and returns its result. Strays of a step that was not settled prove
// nothing and are left out.
func (l *log) end(cause record.Cause) (record.Run, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrong == nil {
		l.write(record.Event{Kind: record.KindEnd, End: &record.End{Cause: cause, Counts: l.live.Run().Counts}})
	}
	if l.wrong != nil {
		return record.Run{}, l.wrong
	}
	return l.live.Run(), nil
}
