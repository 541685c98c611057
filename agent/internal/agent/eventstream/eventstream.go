// Package eventstream sends events to viewers over HTTP: server-sent events, HTML Living Standard,
// section 9.2.
//
// Each event is encoded once for all viewers. A viewer has a bounded queue: one that reads too slowly
// loses events, is told how many, and gets the whole state again. A viewer that connects again
// continues after the last event that it has seen, if the stream still holds what followed.
package eventstream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the limits of a Stream.
type Options struct {
	// Viewers is how many there may be at once.
	Viewers int
	// QueueBytes bounds what waits for one viewer after the whole state, HistoryBytes what the stream
	// holds for viewers that connect again.
	QueueBytes, HistoryBytes int
	// Heartbeat is the longest time without a byte: proxies keep such a connection, and a viewer
	// that has gone is noticed. WriteTime is how long a viewer may take to accept a write.
	Heartbeat, WriteTime time.Duration
}

// A Stream is safe for concurrent use. Publish and Welcome must be called by one goroutine at a
// time, which decides what follows what.
type Stream struct {
	process  string // distinguishes the ids of this process from those of an earlier one
	watched  atomic.Bool
	arrivals chan struct{} // has room for one

	mu           sync.Mutex // guards the fields below
	options      Options
	last         uint64    // number of the last event
	history      []message // the last events, oldest first
	historyBytes int
	viewers      map[*viewer]struct{}
	closed       bool
}

// An Event is a change, or a part of the whole state.
type Event struct {
	// Kind is the event's type in the stream: a word.
	Kind string
	// Body is encoded as JSON.
	Body any
}

// A message is one or more encoded events, shared by all viewers.
type message []byte

// New returns a Stream without viewers.
func New(options Options) *Stream {
	return &Stream{options: options, process: strconv.FormatInt(time.Now().UnixNano(), 36),
		arrivals: make(chan struct{}, 1), viewers: map[*viewer]struct{}{}}
}

// SetLimits changes how many viewers there may be, which disconnects none, and how long one may take to
// accept a write.
func (s *Stream) SetLimits(viewers int, writeTime time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Viewers, s.options.WriteTime = viewers, writeTime
}

// Arrivals returns a channel that receives after viewers have come.
func (s *Stream) Arrivals() <-chan struct{} { return s.arrivals }

// Viewers returns how many viewers there are.
func (s *Stream) Viewers() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.viewers)
}

// Watched reports whether there is a viewer. It costs one atomic load.
func (s *Stream) Watched() bool { return s.watched.Load() }

// Publish sends an event to the viewers that have the state before it. It waits for none of them.
func (s *Stream) Publish(e Event) error {
	text, err := encode(e)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	m := s.withID(text)
	s.history, s.historyBytes = append(s.history, m), s.historyBytes+len(m)
	for s.historyBytes > s.options.HistoryBytes {
		s.historyBytes -= len(s.history[0])
		s.history[0], s.history = nil, s.history[1:]
	}
	for v := range s.viewers {
		v.enqueue(m)
	}
	return nil
}

// Break makes all viewers newcomers, also those that connect again: what is published from now on does
// not follow what was published before.
func (s *Stream) Break() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	s.history, s.historyBytes = nil, 0
	for v := range s.viewers {
		v.new = true
	}
}

// Newcomers reports whether there are viewers that need the whole state and can take it.
func (s *Stream) Newcomers() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v := range s.viewers {
		if v.isReady() {
			return true
		}
	}
	return false
}

// Welcome sends the whole state to the newcomers, which get what is published from then on. The
// state must contain everything that has been published. The id stands before its last event: a viewer
// that loses the connection before gets the whole state again.
func (s *Stream) Welcome(state ...Event) error {
	var before, last message
	for _, e := range state {
		text, err := encode(e)
		if err != nil {
			return err
		}
		before, last = append(before, last...), text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := slices.Concat(before, s.withID(last))
	for v := range s.viewers {
		v.welcome(m)
	}
	return nil
}

// Close ends the stream for all viewers and refuses further ones.
func (s *Stream) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for v := range s.viewers {
		v.signal()
	}
}

// encode returns an event in the form of the stream. JSON has no line breaks, so that it is one data
// line.
func encode(e Event) ([]byte, error) {
	body, err := json.Marshal(e.Body)
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", e.Kind, body), err
}

// withID returns events with the id of the last one. A browser keeps it and sends it when it
// connects again.
func (s *Stream) withID(events []byte) message {
	return append(fmt.Appendf(nil, "id: %s-%d\n", s.process, s.last), events...)
}

// since returns what followed the event lastID; false if the stream does not hold all of it. The
// caller holds mu.
func (s *Stream) since(lastID string) ([]message, bool) {
	process, text, _ := strings.Cut(lastID, "-")
	number, err := strconv.ParseUint(text, 10, 64)
	if process != s.process || err != nil || number > s.last || s.last-number > uint64(len(s.history)) {
		return nil, false
	}
	return s.history[uint64(len(s.history))-(s.last-number):], true
}
