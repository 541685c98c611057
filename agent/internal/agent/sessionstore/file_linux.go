package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
)

// DefaultMaxRecordBytes is the default of Options.MaxRecordBytes.
const DefaultMaxRecordBytes = 1 << 20

// Options are those of a File.
type Options struct {
	// Dir is the folder. It is made where it is missing, but not those above it.
	Dir string
	// PowerCut makes records survive a power cut: a commit waits for the disk. Otherwise they survive
	// the end of the process, and a reboot only after Close.
	PowerCut bool
	// RememberedReplies is how many replies of one key are kept.
	RememberedReplies int
	// MaxRecordBytes limits a record with its reply; 0 means DefaultMaxRecordBytes.
	MaxRecordBytes int
	// Agent is the version of this program, for those who look into the files.
	Agent string
	// Log gets a line when storing begins to fail and when it succeeds again, and about what was
	// found at the start; nil for none.
	Log *slog.Logger

	disk  disk   // nil for Dir; tests make operations fail
	clock *clock // nil for that of the system
}

// A File is a Store in a folder of the local machine.
//
// A commit appends one frame to the current log. In memory there is an index of what is stored. A log
// that has grown is replaced by a new one, to which each frame copies some records of the index
// besides its own, so that no commit waits for all of them; once all are there, the old log is removed.
type File struct {
	opts  Options
	disk  disk
	clock *clock
	turn  chan struct{} // holds a value while a goroutine writes

	// Guarded by turn.
	log        current
	number     uint64   // of the last log that was begun
	compacting bool     // older logs are still needed
	compactAt  int64    // size of the log from which on a new one is begun
	oldBytes   int64    // of older logs
	retryAt    int64    // as compactAt, after a failure
	broken     bool     // the log must not be written any more; the next frame begins a new one
	inDoubt    bool     // and what it or a later one has may be more than was acknowledged
	frame      []byte   // a buffer
	copied     []*entry // in the frame
	closed     bool

	mu        sync.Mutex // may be locked with turn held
	index     *index     // entries are written with turn held too, but may be removed without
	pending   *group     // of the next frame
	flying    *group     // that is being written; nil for none
	spare     *group     // the next pending one
	unused    *group     // to be used again; nil for none
	forgotten map[string]struct{}
	revision  Revision // the last one
	record    []byte   // a buffer
	reply     []byte   // another
	restored  []Restored
	status    Status
}

// A current log is the one that is written. It is guarded by File.turn.
type current struct {
	file file
	mark uint32
	size int64
}

// Open opens the store in a folder and reads what it holds. No damage of the files fails it: records
// that may be older than what was acknowledged are dropped, which Status and the log say, and their
// files are set aside. An error says what to do.
func Open(o Options) (*File, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxRecordBytes <= 0 {
		o.MaxRecordBytes = DefaultMaxRecordBytes
	}
	f := &File{opts: o, disk: o.disk, clock: o.clock, turn: make(chan struct{}, 1), broken: true,
		index: newIndex(o.RememberedReplies), forgotten: map[string]struct{}{}}
	f.status = Status{Survives: Restart, Dir: o.Dir}
	if o.PowerCut {
		f.status.Survives = PowerCut
	}
	f.pending, f.spare = f.newGroup(), f.newGroup()
	var err error
	if f.clock == nil {
		if f.clock, err = newClock(); err != nil {
			return nil, err
		}
	}
	if f.disk == nil {
		if f.disk, err = openFolder(o.Dir); err != nil {
			return nil, err
		}
	}
	if err := f.recover(); err != nil {
		_ = f.disk.close() // nothing was acknowledged
		return nil, err
	}
	return f, nil
}

// Waits implements Store.
func (f *File) Waits() bool { return f.opts.PowerCut }

// Begin implements Store.
func (f *File) Begin(r *Record, was Revision) (Commit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.pending
	n, now, err := f.add(r, was)
	return Commit{Revision: now, Number: n, Of: g}, err
}

// Wait implements Store. Where ctx ends before the disk has answered, the error is ErrInDoubt; without
// PowerCut ctx is not used.
func (f *File) Wait(ctx context.Context, c Commit) (Revision, error) {
	g := c.Of.(*group)
	defer f.leave(g)
	if !g.settled.Load() {
		if !f.opts.PowerCut {
			f.turn <- struct{}{} // nothing but the memory of the system is written meanwhile
			_ = f.flush(g)       // g.err
			<-f.turn
		} else if !f.waitForDisk(ctx, g) && f.abandon(g, c.Number) {
			return 0, fmt.Errorf("%w: %w", ErrInDoubt, context.Cause(ctx))
		}
	}
	if g.err != nil {
		return 0, g.err
	}
	return c.Revision, nil
}

// newGroup returns an empty group. The caller holds mu, or has not shared f yet.
func (f *File) newGroup() *group {
	g := f.unused
	if f.unused = nil; g == nil {
		g = new(group)
	}
	if f.opts.PowerCut {
		g.done = make(chan struct{})
	}
	return g
}

// leave ends Wait of a commit of the group, which is used again after the last one.
func (f *File) leave(g *group) {
	if g.waiting.Add(-1) > 0 || !g.settled.Load() {
		return
	}
	g.settled.Store(false)
	g.err, g.done = nil, nil
	f.mu.Lock()
	f.unused = g
	f.mu.Unlock()
}

// waitForDisk waits until the group is settled; false when the context ended first.
func (f *File) waitForDisk(ctx context.Context, g *group) bool {
	select {
	case <-g.done:
		return true
	case <-ctx.Done():
		return false
	case f.turn <- struct{}{}: // it writes for all who wait
	}
	flushed := make(chan struct{})
	g.waiting.Add(1) // so that the group is not used again before
	go f.flushForAll(g, flushed)
	select {
	case <-flushed:
		return true
	case <-ctx.Done(): // the disk may never answer
		return false
	}
}

// flushForAll writes the group, whose commits it is counted among. The caller has locked turn.
func (f *File) flushForAll(g *group, flushed chan<- struct{}) {
	// Goroutines that are about to commit join the group. While it waits for the disk they may
	// not run: the runtime is late to notice that a system call takes long.
	runtime.Gosched()
	_ = f.flush(g) // g.err
	<-f.turn
	f.leave(g)
	close(flushed)
}

// add adds a record to the pending group and returns its number there. The caller holds mu.
func (f *File) add(r *Record, was Revision) (n int, now Revision, err error) {
	e := f.index.byKey[r.Key]
	switch {
	case e == nil && was == 0, e != nil && e.revision == was, e != nil && e.inDoubt && e.before == was:
	default:
		return 0, 0, ErrConflict
	}
	f.record = appendRecord(f.record[:0], r, f.clock, TimesExact)
	f.reply = f.reply[:0]
	if r.Reply != nil {
		f.reply = appendReply(f.reply, r.Reply)
	}
	if size := len(f.record) + len(f.reply); size > f.opts.MaxRecordBytes || len(f.reply) > maxReplyBytes {
		return 0, 0, fmt.Errorf("%w: it takes %d bytes, and at most %d can be stored; let the validators keep less of it",
			ErrAway, size, f.opts.MaxRecordBytes)
	}
	_, voids := f.forgotten[r.Key]
	delete(f.forgotten, r.Key)
	f.revision++
	f.pending.add(commit{key: r.Key, now: f.revision, was: was, set: e == nil, voids: voids}, f.record, f.reply)
	return len(f.pending.ops) - 1, f.revision, nil
}

// abandon notes that the commit is given up by its caller; false if it is done.
func (f *File) abandon(g *group, n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if g.settled.Load() {
		return false
	}
	g.ops[n].abandoned = true
	return true
}

// Forget implements Store.
func (f *File) Forget(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.index.remove(key)
	known = f.pending.forget(key) || known // a commit that was abandoned
	known = f.flying != nil && f.flying.forget(key) || known
	if known {
		f.forgotten[key] = struct{}{}
	}
}

// Restored implements Store.
func (f *File) Restored() []Restored {
	f.mu.Lock()
	defer f.mu.Unlock()
	restored := f.restored
	f.restored = nil
	return restored
}

// Status implements Store.
func (f *File) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	s.Sessions = len(f.index.byKey)
	return s
}

// Close implements Store. It may be called again.
func (f *File) Close() error {
	f.turn <- struct{}{}
	defer func() { <-f.turn }()
	if f.closed {
		return nil
	}
	err := f.stop()
	f.closed = true
	return errors.Join(err, f.log.file.Close(), f.disk.close())
}
