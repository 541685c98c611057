// Package asyncwriter writes items in the background, through a bounded queue. The caller never
// waits: an item that finds the queue full is dropped and counted. The agent's log and its own
// record are written by it.
package asyncwriter

import (
	"sync"
	"time"
)

// A Sink writes the items of a Writer. Only the goroutine of Run calls it.
type Sink[T any] interface {
	// Write writes one item, or stores it until Flush.
	Write(item T)
	// Flush is called when all queued items were written, and when the duration that the call
	// before returned has passed; 0 means only after the next items.
	Flush() (next time.Duration)
	// Close is called once, after the last item.
	Close()
}

// A Writer queues items for a Sink. Its methods are safe for concurrent use.
type Writer[T any] struct {
	size func(T) int
	wake chan struct{} // holds a token when there is an item to write, or Close was called
	done chan struct{} // closed when Run has returned

	mu      sync.Mutex // guards the rest; never held while the sink works
	limit   int
	queue   []T
	stats   Stats
	closing bool
	ended   bool // no item is written any more
}

// Stats describe the queue at one moment.
type Stats struct {
	// Queued is the total size of the items that wait or are being written.
	Queued int
	// Dropped counts the items that found the queue full, or Run ended.
	Dropped uint64
	// Stalled says that an item was dropped and none has been written since.
	Stalled bool
	// BusySince is when the sink began its present work; zero while it waits for items.
	BusySince time.Time
}

// New returns a Writer that queues items up to a total size of limit, such as a number of bytes.
// Run must be called once, in a goroutine of its own.
func New[T any](limit int, size func(T) int) *Writer[T] {
	return &Writer[T]{
		size: size, limit: limit, wake: make(chan struct{}, 1), done: make(chan struct{}),
		stats: Stats{BusySince: time.Now()},
	}
}

// Write queues an item, or drops and counts it. It never waits. An item of size 0 always has room.
func (w *Writer[T]) Write(item T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := w.size(item)
	if w.ended || size > 0 && w.stats.Queued+size > w.limit { // a lower limit may be exceeded already
		w.stats.Dropped++
		w.stats.Stalled = true
		return
	}
	w.stats.Queued += size
	w.queue = append(w.queue, item)
	w.signal()
}

// SetLimit changes the limit for items that are not queued yet.
func (w *Writer[T]) SetLimit(limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit = limit
}

// Stats returns the present state of the queue.
func (w *Writer[T]) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stats
}

// Close has Run write what is queued and return, and waits for that up to timeout. It reports
// whether Run has returned. It may be called again.
func (w *Writer[T]) Close(timeout time.Duration) bool {
	w.mu.Lock()
	w.closing = true
	w.signal()
	w.mu.Unlock()
	select {
	case <-w.done:
		return true
	case <-time.After(timeout):
		return false
	}
}

func (w *Writer[T]) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // a token is there already
	}
}

// Run writes queued items to the sink until Close.
func (w *Writer[T]) Run(sink Sink[T]) {
	defer close(w.done)
	var items []T // its array is used again for the queue
	for {
		items = w.take(items)
		for _, item := range items {
			sink.Write(item)
			w.written(item)
		}
		clear(items) // for the garbage collector
		next := sink.Flush()
		if w.idle() {
			break
		}
		var timer <-chan time.Time
		if next > 0 {
			timer = time.After(next)
		}
		select {
		case <-w.wake:
		case <-timer:
		}
	}
	sink.Close()
}

// take returns the queued items. Later items go into the array of spare.
func (w *Writer[T]) take(spare []T) []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.BusySince = time.Now()
	items := w.queue
	w.queue = spare[:0]
	return items
}

func (w *Writer[T]) written(item T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stats.Queued -= w.size(item)
	w.stats.Stalled = false
}

// idle notes that the sink waits for items. It reports whether the Writer has ended.
func (w *Writer[T]) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = w.closing && len(w.queue) == 0
	if !w.ended {
		w.stats.BusySince = time.Time{}
	}
	return w.ended
}
