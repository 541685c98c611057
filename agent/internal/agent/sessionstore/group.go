package sessionstore

import "slices"

// A group is what one frame stores: the commits of goroutines that wait for the disk together. It is
// guarded by File.mu until it is written, and by File.turn too from then on.
type group struct {
	buf     []byte // encoded operations
	ops     []commit
	forgets []string      // keys that the frame forgets; behind ops
	done    chan struct{} // closed when it is settled; nil where no goroutine waits
	settled bool
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

// settle ends the group and returns one for later commits, with its buffers.
func (g *group) settle(err error) *group {
	next := g
	if g.done != nil {
		next = &group{buf: g.buf, ops: g.ops, forgets: g.forgets, done: make(chan struct{})}
		g.settled, g.err = true, err
		close(g.done)
	}
	clear(next.ops) // the keys
	next.buf, next.ops, next.forgets = next.buf[:0], next.ops[:0], next.forgets[:0]
	return next
}
