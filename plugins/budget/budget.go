// Package budget bounds the time for a step at the least cost: a context whose timer is set
// when somebody waits for it, which for most steps nobody does.
package budget

import (
	"context"
	"sync"
	"time"
)

// A Context is a context that ends at its deadline, or with its parent. It is safe for
// concurrent use.
type Context struct {
	parent   context.Context
	deadline time.Time
	cause    func() error

	mu       sync.Mutex
	released bool
	timed    context.Context // nil until somebody asks for Done
	stop     context.CancelFunc
}

// New returns a context that ends at the deadline. Cause, which may be nil, makes the error
// that context.Cause then returns. Release it when it is of no more use.
func New(parent context.Context, deadline time.Time, cause func() error) *Context {
	return &Context{parent: parent, deadline: deadline, cause: cause}
}

// Parent returns the context that this one is made of, for those who keep the deadline by
// other means than a timer for each step.
func (c *Context) Parent() context.Context { return c.parent }

// Late returns the error of a deadline that has passed.
func (c *Context) Late() error {
	if c.cause != nil {
		return c.cause()
	}
	return context.DeadlineExceeded
}

// Release ends the context.
func (c *Context) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	if c.stop != nil {
		c.stop()
	}
}

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) {
	if sooner, ok := c.parent.Deadline(); ok && sooner.Before(c.deadline) {
		return sooner, true
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *Context) Done() <-chan struct{} { return c.timer().Done() }

// Err implements context.Context.
func (c *Context) Err() error {
	if c.isOpen() && c.parent.Err() == nil && time.Now().Before(c.deadline) {
		return nil
	}
	return c.timer().Err()
}

// Value implements context.Context.
func (c *Context) Value(key any) any {
	if c.isOpen() {
		return c.parent.Value(key)
	}
	return c.timer().Value(key) // where context.Cause looks
}

// isOpen reports whether nobody has waited for the end yet, nor brought it about.
func (c *Context) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timed == nil && !c.released
}

// timer returns the context that does what this one seems to do.
func (c *Context) timer() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.stop = context.WithDeadlineCause(c.parent, c.deadline, c.lateCause())
		if c.released {
			c.stop()
		}
	}
	return c.timed
}

// lateCause is nil where the standard library is to say it.
func (c *Context) lateCause() error {
	if c.cause == nil {
		return nil
	}
	return c.cause()
}
