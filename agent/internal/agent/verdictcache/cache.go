// Package verdictcache is a cache in front of a group of validators, so that the common step never
// leaves the agent.
//
// A validator is a pure function of its inputs, and is sent only the inputs that it has declared to
// read. So the bytes that would be sent are the key, and a declaration cannot be wrong. A sample of
// the answers is judged again, to find validators that are not pure; their verdicts are not kept.
package verdictcache

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// A Group is the validators behind a Cache.
type Group interface {
	// Names, First and Judge are those of judge.Group.
	Names() []string
	First() []judge.Expectation
	Judge(ctx context.Context, call judge.Call) []judge.Answer
	// Again judges a step a second time, and counts nothing. The error says why there are no answers.
	Again(ctx context.Context, call judge.Call) ([]judge.Answer, error)
}

// Options say what is kept and what is judged again.
type Options struct {
	// Bytes bounds the cache; with 0 nothing is kept.
	Bytes int
	// Every RecheckEvery-th step that was answered from the cache is judged again, and every
	// ShadowEvery-th of the other steps; 0 for none.
	RecheckEvery int
	ShadowEvery  int
	Logger       *slog.Logger
}

// A Key appends to dst the bytes that would be sent for a step. Two steps with the same key are the
// same to the validators.
type Key func(dst []byte, call *judge.Call) []byte

// A Cache is a judge.Group that answers from kept verdicts, and asks the group below it for the others.
// It is safe for concurrent use.
type Cache struct {
	Group
	options Options
	lookups sync.Pool // of *lookup

	hits, misses, asked, differing atomic.Uint64

	rechecking chan struct{} // one token for each step that is being judged again
	mu         sync.Mutex    // held to replace generation
	generation atomic.Pointer[generation]
}

// A lookup is memory that is reused to make keys.
type lookup struct {
	call judge.Call // here, as its address is taken and it would be allocated for each step
	key  []byte
}

// A generation is the cache of validators that give the same verdicts. An answer is put into the
// generation in which it was asked for.
type generation struct {
	key   Key
	table *table // nil where nothing is kept
}

// New returns a Cache of a group. It keeps nothing until Reset.
func New(group Group, options Options) *Cache {
	c := &Cache{Group: group, options: options, rechecking: make(chan struct{}, maxRechecks)}
	c.lookups.New = func() any { return new(lookup) }
	c.generation.Store(&generation{})
	return c
}

// Reset empties the cache. From now on verdicts are kept by the key; none are when it is nil, or once a
// validator has given two verdicts for one step. It is called before other validators begin to answer.
func (c *Cache) Reset(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &generation{}
	if key != nil && c.options.Bytes > 0 && c.differing.Load() == 0 {
		next.key, next.table = key, newTable(c.options.Bytes)
	}
	c.generation.Store(next)
}

// Close waits for the rechecks that run and prevents further ones. It is called once.
func (c *Cache) Close() {
	for range maxRechecks {
		c.rechecking <- struct{}{}
	}
}

// Try implements judge.Group.
func (c *Cache) Try(call *judge.Call) ([]judge.Answer, bool) {
	g := c.generation.Load()
	if g.table == nil || call.Fresh {
		return nil, false
	}
	l := c.lookups.Get().(*lookup)
	defer c.lookups.Put(l)
	l.key = g.key(l.key[:0], call)
	return g.table.get(l.key)
}

// Tried implements judge.Group.
func (c *Cache) Tried(call *judge.Call, answers []judge.Answer) {
	n := c.hits.Add(1)
	if every := uint64(c.options.RecheckEvery); every > 0 && n%every == 0 {
		c.recheck(c.generation.Load(), *call, answers)
	}
}

// Judge implements judge.Group.
func (c *Cache) Judge(ctx context.Context, call judge.Call) []judge.Answer {
	g := c.generation.Load()
	if g.table == nil || call.Fresh {
		return c.ask(ctx, g, call)
	}
	l := c.lookups.Get().(*lookup)
	defer func() {
		l.call = judge.Call{} // it refers to the session's memory
		c.lookups.Put(l)
	}()
	l.call = call
	l.key = g.key(l.key[:0], &l.call)
	if answers, ok := g.table.get(l.key); ok {
		c.Tried(&l.call, answers)
		return answers
	}
	c.misses.Add(1)
	answers := c.ask(ctx, g, call)
	if canKeep(answers) {
		g.table.put(l.key, answers)
	}
	return answers
}

// ask asks the validators, and has every n-th step judged again, n being ShadowEvery.
func (c *Cache) ask(ctx context.Context, g *generation, call judge.Call) []judge.Answer {
	answers := c.Group.Judge(ctx, call)
	n := c.asked.Add(1)
	if every := uint64(c.options.ShadowEvery); every > 0 && n%every == 0 {
		c.recheck(g, call, answers)
	}
	return answers
}

// canKeep reports whether all answers are verdicts without a fault. An error does not depend on the
// inputs alone, and a fault is carried out each time that a validator asks for it.
func canKeep(answers []judge.Answer) bool {
	for _, a := range answers {
		if a.Err != nil || a.Verdict.Fault != nil {
			return false
		}
	}
	return len(answers) > 0
}

// A Status describes a Cache.
type Status struct {
	// Keeping says that verdicts are kept.
	Keeping bool `json:"keeping"`
	// Hits counts steps that were answered from the cache, Misses those that were not in it.
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
	// Entries and Bytes are the size of the cache.
	Entries int `json:"entries"`
	Bytes   int `json:"bytes"`
	// Differing counts steps that got another verdict when they were judged again. Nothing is
	// kept after the first.
	Differing uint64 `json:"differing"`
}

// Status returns the current status.
func (c *Cache) Status() Status {
	s := Status{Hits: c.hits.Load(), Misses: c.misses.Load(), Differing: c.differing.Load()}
	if t := c.generation.Load().table; t != nil {
		s.Keeping = true
		s.Entries, s.Bytes = t.size()
	}
	return s
}
