package session

import (
	"context"
	"slices"
	"sync"
)

// A turn is a lock whose waiters can give up, and get it in the order of arrival. The zero value is
// unlocked. Unlike a channel it lies within its slot: with thousands of clients the memory and the
// cache miss of a second object count.
type turn struct {
	mu      sync.Mutex
	held    bool
	waiters []chan struct{} // each closed when its owner has the turn
}

// tryLock locks the turn if it is free.
func (t *turn) tryLock() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held {
		return false
	}
	t.held = true
	return true
}

// lock waits for the turn; false when the context ended first.
func (t *turn) lock(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	t.mu.Lock()
	if !t.held {
		t.held = true
		t.mu.Unlock()
		return true
	}
	mine := make(chan struct{})
	t.waiters = append(t.waiters, mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return true
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiters, mine); i >= 0 {
		t.waiters = slices.Delete(t.waiters, i, i+1)
		return false
	}
	return true // unlock has handed it over meanwhile
}

// unlock hands the turn to the first waiter, or frees it.
func (t *turn) unlock() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) == 0 {
		t.held = false
		return
	}
	close(t.waiters[0])
	if t.waiters = slices.Delete(t.waiters, 0, 1); len(t.waiters) == 0 {
		t.waiters = nil
	}
}
