package sessionstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The functions of this file are called with File.turn held.

const (
	// A new log is begun when the current one exceeds growthFactor times what is stored and
	// growthBytes. With what the new one takes until the old one is removed, the folder stays below 4
	// times what is stored and 4 MiB.
	growthFactor = 2
	growthBytes  = 2 << 20
	// A frame copies copyFactor times the bytes of its own commits from older logs, and copyBytes at
	// least.
	copyFactor = 4
	copyBytes  = 4 << 10
	// wholeBytes is the size of frames that have nothing but copies.
	wholeBytes = 256 << 10
)

// flush writes the group, which is the pending one, and settles it, unless that is done.
func (f *File) flush(g *group) error {
	if g.settled.Load() {
		return g.err
	}
	f.mu.Lock()
	f.flying, f.pending = g, f.spare
	f.mu.Unlock()
	whole, err := f.write(g)
	f.mu.Lock()
	f.settle(g, err)
	f.mu.Unlock()
	if whole && err == nil {
		f.removeOld()
	}
	return err
}

// write writes a frame with the group. Whole says that older logs are not needed any more.
func (f *File) write(g *group) (whole bool, err error) {
	if f.closed {
		return false, fmt.Errorf("%w: the store is closed", ErrAway)
	}
	if !f.broken && !f.compacting && f.log.size >= f.compactAt {
		f.compact()
	}
	if f.broken {
		if err := f.renew(g); err != nil {
			return false, failure(err, f.inDoubt)
		}
		return true, nil
	}
	budget := max(copyFactor*len(g.buf), copyBytes)
	whole = f.fill(g, budget, false)
	if err := f.append(&f.log); err != nil {
		return false, failure(err, false)
	}
	if f.opts.PowerCut {
		if err := f.sync(f.log.file); err != nil {
			f.broken, f.inDoubt = true, true
			if f.renew(g) != nil {
				return false, failure(err, true)
			}
			return true, nil
		}
	}
	f.compacting = f.compacting && !whole
	return whole, nil
}

// fill makes the frame: records of older logs up to a budget of bytes, while such logs are needed, and
// the group. All says that the frame is one of a log that is not complete without those records: the
// group comes with the last of them. Whole says that none is left.
func (f *File) fill(g *group, budget int, all bool) (whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	frame := slices.Grow(f.frame[:0], frameBytes)[:frameBytes] // append seals it
	f.copied = f.copied[:0]
	if f.compacting || all {
		at := f.index.list.Front()
		for ; at != nil && len(frame) < budget; at = at.Next() {
			e := at.Value.(*entry)
			if e.log == f.number {
				break
			}
			frame = appendPut(frame, opSet, e.record, e.replies)
			f.copied = append(f.copied, e)
		}
		whole = at == nil || at.Value.(*entry).log == f.number
	}
	if whole || !all {
		for key := range f.forgotten {
			g.forgets = append(g.forgets, key)
		}
		clear(f.forgotten)
		frame = append(frame, g.buf...)
		for _, key := range g.forgets {
			frame = append(binary.AppendUvarint(append(frame, opForget), uint64(len(key))), key...)
		}
	}
	if whole {
		frame = appendOp(frame, opWhole)
	}
	f.frame = frame
	return whole
}

// settle puts the group in force, or takes it back where err is not nil. The caller holds mu.
func (f *File) settle(g *group, err error) {
	if err == nil {
		for i := range g.ops {
			f.apply(g, &g.ops[i])
		}
		f.moved()
		f.plan()
	} else {
		for i := range g.ops {
			if g.ops[i].voids {
				f.forgetAgain(g.ops[i].key)
			}
		}
		for _, key := range g.forgets {
			f.forgetAgain(key)
		}
	}
	f.report(len(g.ops), err)
	f.flying, f.spare = nil, f.newGroup()
	g.settle(err, f.spare)
}

// plan says when the next log is begun. The caller holds mu.
func (f *File) plan() { f.compactAt = max(growthFactor*f.index.bytes+growthBytes, f.retryAt) }

// apply puts a commit into the index. The caller holds mu.
func (f *File) apply(g *group, c *commit) {
	if c.dead {
		return
	}
	e := f.index.put(c.key, g.buf[c.record:c.reply], g.buf[c.reply:c.end], c.set, f.number)
	e.revision, e.inDoubt, e.before = c.now, c.abandoned, c.was
}

// moved notes that the log has what fill copied. The caller holds mu.
func (f *File) moved() {
	for _, e := range f.copied {
		f.index.moved(e, f.number)
	}
	f.copied = f.copied[:0]
}

// forgetAgain is Forget for a key whose removal was not stored. The caller holds mu.
func (f *File) forgetAgain(key string) {
	if c := f.pending.find(key); c != nil {
		c.voids = true
	} else if f.index.byKey[key] == nil {
		f.forgotten[key] = struct{}{}
	}
}

// report updates the status after n commits. The caller holds mu.
func (f *File) report(n int, err error) {
	s := &f.status
	s.Bytes = f.log.size + f.oldBytes
	if f.closed {
		return
	}
	if err != nil {
		if s.Trouble == "" {
			f.opts.Log.Warn("sessions cannot be stored", slog.Any("error", err))
		}
		s.Trouble = err.Error()
		return
	}
	if s.Trouble != "" {
		f.opts.Log.Info("sessions are stored again")
	}
	s.Trouble = ""
	if n > 0 {
		s.Commits += uint64(n)
		s.LastCommit = time.Now()
	}
}

// sync makes a file durable.
func (f *File) sync(of file) error {
	err := of.sync()
	f.mu.Lock()
	f.status.Syncs++
	f.mu.Unlock()
	return err
}

// append appends the frame to a log. Where it fails nothing of it is left, or else the log is
// broken.
func (f *File) append(to *current) error {
	sealFrame(f.frame, to.mark, to.size)
	n, err := to.file.WriteAt(f.frame, to.size)
	if err != nil {
		if n > 0 && to.file.Truncate(to.size) != nil {
			f.broken = true
		}
		return err
	}
	to.size += int64(n)
	return nil
}

// failure returns the error of a commit.
func failure(err error, inDoubt bool) error {
	if inDoubt {
		return fmt.Errorf("%w: %w; %s", ErrInDoubt, cause(err), remedy(err))
	}
	return fmt.Errorf("%w: %w; %s", ErrAway, cause(err), remedy(err))
}

// remedy says what to do.
func remedy(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "free some space on the agent's disk"
	case errors.Is(err, unix.EROFS):
		return "make the agent's disk writable again"
	case errors.Is(err, fs.ErrPermission):
		return "let the agent's user write to the folder"
	default:
		return "check the agent's disk"
	}
}
