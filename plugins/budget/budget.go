// Package budget bounds the time for a step at the least cost: a context whose timer is set
// when somebody waits for it, which for most steps nobody does.
package budget

import (
	"context"
	"sync/atomic"
	"time"
)

// A Context is a context that ends at its deadline, or with its parent. It is safe for
// concurrent use.
type Context struct {
	parent   context.Context
	deadline time.Time
	cause    func() error
	end      atomic.Pointer[end] // nil until somebody asks for Done, or releases
}

// An end is how a context comes to it: by a timer or, where there is none, by having been
// released before anybody waited.
type end struct {
	timer context.Context
	stop  context.CancelFunc
}

// released is the end of the contexts that nobody has waited for.
var released = new(end)

// New returns a context that ends at the deadline. Cause, which may be nil, makes the error
// that context.Cause then returns. Release it when it is of no more use.
func New(parent context.Context, deadline time.Time, cause func() error) *Context {
	return &Context{parent: parent, deadline: deadline, cause: cause}
}

// A Maker makes contexts of one parent, of which several share an allocation. It is for one
// goroutine; the contexts are for all.
type Maker struct {
	parent context.Context
	free   []Context
}

// makerContexts is how many contexts share an allocation, of 2 KiB.
const makerContexts = 36

// NewMaker returns a maker of contexts that end with the parent.
func NewMaker(parent context.Context) *Maker { return &Maker{parent: parent} }

// New returns a context as [New] does. None is ever used again, so that it stays what it is for
// whoever keeps it.
func (m *Maker) New(deadline time.Time, cause func() error) *Context {
	if len(m.free) == 0 {
		m.free = make([]Context, makerContexts)
	}
	c := &m.free[0]
	m.free = m.free[1:]
	c.parent, c.deadline, c.cause = m.parent, deadline, cause
	return c
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
	if !c.end.CompareAndSwap(nil, released) {
		if e := c.end.Load(); e != released {
			e.stop()
		}
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
	if c.end.Load() == nil && c.parent.Err() == nil && time.Now().Before(c.deadline) {
		return nil
	}
	return c.timer().Err()
}

// Value implements context.Context.
func (c *Context) Value(key any) any {
	if c.end.Load() == nil {
		return c.parent.Value(key)
	}
	return c.timer().Value(key) // where context.Cause looks
}

// timer returns the context that does what this one seems to do.
func (c *Context) timer() context.Context {
	for {
		before := c.end.Load()
		if before != nil && before != released {
			return before.timer
		}
		e := &end{}
		e.timer, e.stop = context.WithDeadlineCause(c.parent, c.deadline, c.lateCause())
		if before == released {
			e.stop()
		}
		if c.end.CompareAndSwap(before, e) {
			return e.timer
		}
		e.stop() // somebody else was first
	}
}

// lateCause is nil where the standard library is to say it.
func (c *Context) lateCause() error {
	if c.cause == nil {
		return nil
	}
	return c.cause()
}
