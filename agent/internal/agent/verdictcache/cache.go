// Package verdictcache keeps the verdicts of a group of validators and answers the same question
// from them, so that the common step never leaves the agent.
//
// A validator is a pure function of what it is sent. What it is sent is what it has declared to
// read, so the bytes that would be sent are the key, and a declaration cannot be wrong. A sample
// of the answers is judged again, to find validators that are not pure; of those nothing more is
// kept.
package verdictcache

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

// A Group is validators that can be asked.
type Group interface {
	// Names, First and Judge are those of judge.Group.
	Names() []string
	First() []judge.Expectation
	Judge(ctx context.Context, call judge.Call) []judge.Answer
	// Again judges a step that has been judged, and counts nothing. The error says why there are
	// no answers.
	Again(ctx context.Context, call judge.Call) ([]judge.Answer, error)
}

// Options say what is kept and what is judged again.
type Options struct {
	// Bytes bounds what is kept; 0 keeps nothing.
	Bytes int
	// RecheckEvery is n where every n-th step that was answered from kept verdicts is judged again,
	// ShadowEvery the same for the other steps; 0 for none.
	RecheckEvery int
	ShadowEvery  int
	Logger       *slog.Logger
}

// A Key appends to dst what would be sent for a step. Two steps with the same key are the same to
// the validators.
type Key func(dst []byte, call *judge.Call) []byte

// A Cache is a judge.Group that answers from kept verdicts where it can and asks the group below
// it where it cannot. It is safe for concurrent use.
type Cache struct {
	group   Group
	options Options
	lookups sync.Pool // of *lookup

	hits, misses, asked, differing atomic.Uint64

	rechecks   rechecks
	generation atomic.Pointer[generation]
	mu         sync.Mutex // for changes of generation
}

// A lookup is the memory for making one key after another.
type lookup struct {
	call judge.Call // whose address is taken: else each would be allocated
	key  []byte
}

// A generation is a time in which the validators say the same: what is kept of them, which those
// that follow never get to see. An answer is put into the generation in which it was asked for.
type generation struct {
	key   Key
	table *table // nil where nothing is kept
}

// New returns a Cache of a group. It keeps nothing until Reset.
func New(group Group, options Options) *Cache {
	c := &Cache{group: group, options: options}
	c.lookups.New = func() any { return new(lookup) }
	c.generation.Store(&generation{})
	return c
}

// Reset drops what is kept. From now on verdicts are kept by the key; none are when it is nil, or
// once a validator has given two verdicts for one step. It is called before other validators begin
// to answer.
func (c *Cache) Reset(key Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := &generation{}
	if key != nil && c.options.Bytes > 0 && c.differing.Load() == 0 {
		next.key, next.table = key, newTable(c.options.Bytes)
	}
	c.generation.Store(next)
}

// Close ends the rechecks that run and lets no further one begin.
func (c *Cache) Close() { c.rechecks.close() }

// Names implements judge.Group.
func (c *Cache) Names() []string { return c.group.Names() }

// First implements judge.Group.
func (c *Cache) First() []judge.Expectation { return c.group.First() }

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
		l.call = judge.Call{} // which refers to the session's memory
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
	answers := c.group.Judge(ctx, call)
	n := c.asked.Add(1)
	if every := uint64(c.options.ShadowEvery); every > 0 && n%every == 0 {
		c.recheck(g, call, answers)
	}
	return answers
}

// canKeep reports whether the answers are a function of what was sent, and nothing but verdicts: a
// fault is the agent's to carry out each time that it is asked for.
func canKeep(answers []judge.Answer) bool {
	for _, a := range answers {
		if a.Err != nil || a.Verdict.Fault != nil {
			return false
		}
	}
	return len(answers) > 0
}

// A Status says what is kept.
type Status struct {
	// Keeping says that verdicts are kept.
	Keeping bool `json:"keeping"`
	// Hits counts steps that were answered from kept verdicts, Misses those for which there was
	// none and the validators were asked.
	Hits   uint64 `json:"hits"`
	Misses uint64 `json:"misses"`
	// Entries is how many verdicts are kept now, and Bytes what they take.
	Entries int `json:"entries"`
	Bytes   int `json:"bytes"`
	// Differing counts steps that got another verdict when they were judged again. Nothing is
	// kept after the first.
	Differing uint64 `json:"differing"`
}

// Status returns the status as it is now.
func (c *Cache) Status() Status {
	s := Status{Hits: c.hits.Load(), Misses: c.misses.Load(), Differing: c.differing.Load()}
	if t := c.generation.Load().table; t != nil {
		s.Keeping = true
		s.Entries, s.Bytes = t.size()
	}
	return s
}
