package sessionstore

import (
	"slices"
	"sync/atomic"
)

// A group is what one frame stores: the commits that were begun since the frame before. It is guarded by
// File.mu until it is written, and by File.turn too from then on.
type group struct {
	buf     []byte // encoded operations
	ops     []commit
	forgets []string // keys that the frame forgets; behind ops

	waiting atomic.Int32  // commits whose Wait has not returned
	done    chan struct{} // closed when it is settled; nil where that takes no time
	settled atomic.Bool
	err     error // valid once settled
}

// A commit is one of a group.
type commit struct {
	key       string
	record    int // offset in group.buf
	reply     int // likewise, behind the record
	end       int // likewise
	now, was  Revision
	set       bool // the first of the key
	voids     bool // the key was to be forgotten
	abandoned bool // the caller has given up
	dead      bool // then the key was forgotten
}

// add adds a commit of an encoded record and reply, which are copied.
func (g *group) add(c commit, record, reply []byte) {
	kind := byte(opPut)
	if c.set {
		kind = opSet
	}
	g.buf = appendPut(g.buf, kind, record, reply)
	c.end = len(g.buf)
	c.reply = c.end - len(reply)
	c.record = c.reply - len(record)
	g.ops = append(g.ops, c)
	g.waiting.Add(1)
}

// find returns the last commit of a key; nil for none.
func (g *group) find(key string) *commit {
	for i := range slices.Backward(g.ops) {
		if g.ops[i].key == key {
			return &g.ops[i]
		}
	}
	return nil
}

// forget keeps the commits of a key out of the index, and reports whether there are any.
func (g *group) forget(key string) (found bool) {
	for i := range g.ops {
		if g.ops[i].key == key {
			g.ops[i].dead, found = true, true
		}
	}
	return found
}

// settle ends the group and gives its buffers to another one, for later commits.
func (g *group) settle(err error, next *group) {
	clear(g.ops) // the keys
	next.buf, next.ops, next.forgets = g.buf[:0], g.ops[:0], g.forgets[:0]
	g.buf, g.ops, g.forgets, g.err = nil, nil, nil, err
	if g.done != nil {
		close(g.done)
	}
	g.settled.Store(true) // the last: File.leave may reuse the group from here on
}
