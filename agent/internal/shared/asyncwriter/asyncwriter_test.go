package asyncwriter

import (
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A memory is a sink that records its calls.
type memory struct {
	block chan struct{} // when not nil, Write waits for it

	mu      sync.Mutex
	items   []string
	closed  bool
	flushes atomic.Int32
}

func (m *memory) Write(item string) {
	if m.block != nil {
		<-m.block
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.items = append(m.items, item)
}

func (m *memory) Flush() time.Duration {
	m.flushes.Add(1)
	return time.Minute
}

func (m *memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

func start(m *memory) *Writer[string] {
	w := New(10, func(s string) int { return len(s) })
	go w.Run(m)
	return w
}

func TestItemsAreWrittenInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		w := start(m)
		for _, item := range []string{"a", "bb", "ccc"} {
			w.Write(item)
		}
		synctest.Wait()
		w.Write("d")
		for range 2 {
			if !w.Close(time.Second) {
				t.Error("Close has timed out")
			}
		}
		w.Write("late")
		if want := []string{"a", "bb", "ccc", "d"}; !slices.Equal(m.items, want) || !m.closed {
			t.Errorf("the sink has %q, closed %t; want %q", m.items, m.closed, want)
		}
		if s := w.Stats(); s.Queued != 0 || s.Dropped != 1 {
			t.Errorf("%+v, want one dropped item", s)
		}
	})
}

// A stalled sink delays neither Write nor, for longer than its timeout, Close.
func TestStalledSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{block: make(chan struct{})}
		w := start(m)
		w.Write("1234")
		synctest.Wait() // the sink has it
		began := time.Now()
		for range 3 {
			w.Write("5678")
		}
		w.SetLimit(12)
		w.Write("90ab")
		time.Sleep(time.Second)
		if s := w.Stats(); s.Queued != 12 || s.Dropped != 2 || !s.Stalled || !s.BusySince.Equal(began) {
			t.Errorf("%+v, want 12 queued, 2 dropped, stalled, busy since %v", s, began)
		}
		if w.Close(time.Second) || time.Since(began) != 2*time.Second {
			t.Errorf("Close has returned after %v", time.Since(began))
		}
		close(m.block)
		synctest.Wait()
		if s := w.Stats(); s.Queued != 0 || s.Stalled || !slices.Equal(m.items, []string{"1234", "5678", "90ab"}) {
			t.Errorf("%+v, and the sink has %q", s, m.items)
		}
	})
}

func TestFlushWithoutItems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		w := start(m)
		synctest.Wait()
		before := m.flushes.Load()
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if s := w.Stats(); m.flushes.Load() != before+10 || !s.BusySince.IsZero() {
			t.Errorf("%d flushes in ten minutes, want 10; %+v", m.flushes.Load()-before, s)
		}
		w.Close(time.Second)
	})
}
