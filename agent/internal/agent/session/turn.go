package session

import (
	"context"
	"slices"
	"sync"
)

// A turn is a lock that can be waited for until a context ends. Who waits gets it in the order of
// arrival. The zero value is free. It takes less memory than a channel, and no access of its own to
// it: a seat has it inside, and with thousands of clients that counts.
type turn struct {
	mu      sync.Mutex
	held    bool
	waiters []chan struct{} // each closed when its owner has the turn
}

// try takes the turn if it is free.
func (t *turn) try() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held {
		return false
	}
	t.held = true
	return true
}

// take waits for the turn; false when the context ended first.
func (t *turn) take(ctx context.Context) bool {
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
	return true // it came at the last moment
}

// pass gives the turn to who has waited longest, or frees it.
func (t *turn) pass() {
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
