package eventstream

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

// A viewer is one HTTP request that reads the stream. Stream.mu guards its fields but the first two.
type viewer struct {
	wake    chan struct{} // has room for one
	options Options       // of the stream when the viewer came
	new     bool          // it needs the whole state first
	queue   []message
	bytes   int
	lost    uint64 // events that the queue had no room for
}

// Errors of requests that cannot become viewers.
var (
	errManyViewers = errors.New("the agent has as many viewers as http.viewers allows; close a page, or raise that limit")
	errClosed      = errors.New("the agent is shutting down")
)

// attach adds a viewer. It continues after the event lastID if the stream holds what followed.
func (s *Stream) attach(lastID string) (*viewer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errClosed
	case len(s.viewers) >= s.options.Viewers:
		return nil, errManyViewers
	}
	v := &viewer{wake: make(chan struct{}, 1), options: s.options}
	missed, ok := s.since(lastID)
	v.new = !ok
	for _, m := range missed {
		v.enqueue(m)
	}
	s.viewers[v] = struct{}{}
	s.watched.Store(true)
	wake(s.arrivals)
	return v, nil
}

func (s *Stream) detach(v *viewer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, v)
	s.watched.Store(len(s.viewers) > 0)
}

func (v *viewer) enqueue(m message) {
	if v.new {
		if v.lost > 0 {
			v.lost++
		}
		return // the whole state comes first
	}
	if v.bytes+len(m) > v.options.QueueBytes {
		v.new, v.lost = true, v.lost+1
	} else {
		v.queue, v.bytes = append(v.queue, m), v.bytes+len(m)
	}
	v.signal()
}

// welcome sends the whole state to a viewer that is ready for it.
func (v *viewer) welcome(state message) {
	if !v.isReady() {
		return
	}
	v.new = false
	if v.lost > 0 {
		v.queue = append(v.queue, fmt.Appendf(nil, "event: lost\ndata: {\"events\":%d}\n\n", v.lost))
		v.lost = 0
	}
	v.queue = append(v.queue, state) // beyond the limit, which is for what follows
	v.signal()
}

// isReady reports whether the viewer needs the whole state and has taken everything before.
func (v *viewer) isReady() bool { return v.new && len(v.queue) == 0 }

func (v *viewer) signal() { wake(v.wake) }

// wake sends to a channel with room for one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // the receiver is awake
	}
}

// take takes the queue of a viewer; false once the stream is closed.
func (s *Stream) take(v *viewer) (queue []message, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue, v.queue, v.bytes = v.queue, nil, 0
	return queue, !s.closed
}

// ServeHTTP makes the caller a viewer until it disconnects, accepts nothing for WriteTime, or the
// stream is closed.
func (s *Stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := s.attach(r.Header.Get("Last-Event-ID"))
	if err != nil {
		w.Header().Set("Retry-After", "5")
		problem.Write(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer s.detach(v)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	to := http.NewResponseController(w)
	write := func(messages ...message) error {
		if err := to.SetWriteDeadline(time.Now().Add(v.options.WriteTime)); err != nil {
			return err
		}
		for _, m := range messages {
			if _, err := w.Write(m); err != nil {
				return err
			}
		}
		return to.Flush()
	}
	// A browser that loses the connection tries again after this time, in milliseconds.
	if write(message("retry: 2000\n\n")) != nil {
		return
	}
	heartbeat := time.NewTicker(v.options.Heartbeat)
	defer heartbeat.Stop()
	for {
		queue, open := s.take(v)
		if len(queue) > 0 && write(queue...) != nil {
			return
		}
		if !open {
			return
		}
		select {
		case <-v.wake:
		case <-heartbeat.C:
			if write(message(":\n\n")) != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
