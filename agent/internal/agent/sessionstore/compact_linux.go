package sessionstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
)

// The functions of this file are called with File.turn held.

// compact begins a new log, to which later frames copy what is stored. Where that fails, the current
// one goes on.
func (f *File) compact() {
	created, name, err := f.create("")
	if err == nil && f.opts.PowerCut {
		if err = errors.Join(f.sync(created.file), f.disk.sync()); err != nil {
			f.discard(created, name)
		}
	}
	if err != nil {
		f.retryAt = f.log.size + growthBytes/2
		f.compactAt = f.retryAt
		f.opts.Log.Warn("no new log of sessions can be begun; the old one keeps growing",
			slog.Any("error", cause(err)), slog.Int64("bytes", f.log.size))
		return
	}
	f.replace(created)
	f.compacting = true
}

// create creates a log with the next number.
func (f *File) create(suffix string) (created current, name string, err error) {
	f.number++
	name = logName(f.number) + suffix
	var mark [4]byte
	_, _ = rand.Read(mark[:]) // never fails
	h := header{boot: f.clock.boot, mark: binary.LittleEndian.Uint32(mark[:]), level: levelRestart, version: f.opts.Agent}
	if f.opts.PowerCut {
		h.level = levelPowerCut
	}
	created = current{mark: h.mark, size: headerBytes}
	if created.file, err = f.disk.create(name); err != nil {
		return current{}, name, err
	}
	if _, err = created.file.WriteAt(h.append(nil), 0); err != nil {
		f.discard(created, name)
	}
	return created, name, err
}

// discard removes a log that cannot be used.
func (f *File) discard(log current, name string) {
	_ = log.file.Close() // what it holds is not needed
	_ = f.disk.remove(name)
}

// replace makes a log the current one.
func (f *File) replace(log current) {
	if f.log.file != nil {
		_ = f.log.file.Close() // synced where that counts
	}
	f.oldBytes += f.log.size
	f.log, f.broken, f.retryAt = log, false, 0
}

// renew begins a new log with all that is stored and the group, and makes it durable. It then needs no
// older one.
func (f *File) renew(g *group) error {
	created, name, err := f.create(newSuffix)
	if err != nil {
		return err
	}
	if err = f.writeWhole(&created, g); err == nil {
		err = f.sync(created.file)
	}
	final := logName(f.number)
	if err == nil {
		err = f.disk.rename(name, final)
	}
	if err != nil {
		f.discard(created, name)
		return err
	}
	if err = f.disk.sync(); err != nil {
		_ = created.file.Close() // synced
		f.inDoubt = true         // the name may be there after a crash
		return err
	}
	f.replace(created)
	f.compacting, f.inDoubt = false, false
	return nil
}

// writeWhole writes all that is stored and the group to a new log.
func (f *File) writeWhole(to *current, g *group) error {
	for whole := false; !whole; {
		whole = f.fill(g, wholeBytes, true)
		if err := f.append(to); err != nil {
			return err
		}
		f.mu.Lock()
		f.moved()
		f.mu.Unlock()
	}
	return nil
}

// removeOld removes logs older than the current one. What cannot be removed is tried again with the
// next.
func (f *File) removeOld() {
	names, err := f.disk.names()
	for _, name := range names {
		number, suffix, ok := parseName(name)
		if ok && (suffix == "" && number < f.number || suffix == newSuffix) {
			err = errors.Join(err, f.disk.remove(name))
		}
	}
	if err != nil {
		f.opts.Log.Warn("an old log of sessions cannot be removed", slog.Any("error", err))
		return
	}
	f.mu.Lock()
	f.status.Snapshots++
	f.oldBytes = 0
	f.status.Bytes = f.log.size
	f.mu.Unlock()
}

// stop writes what waits, marks a clean stop and makes all durable.
func (f *File) stop() error {
	f.broken = f.broken || f.compacting // older logs may not be durable
	f.mu.Lock()
	g := f.pending
	f.mu.Unlock()
	if err := f.flush(g); err != nil {
		return err
	}
	f.frame = appendOp(f.frame[:frameBytes], opClean)
	err := f.append(&f.log)
	if err == nil {
		err = errors.Join(f.sync(f.log.file), f.disk.sync()) // compact may have left the name to this
	}
	if err != nil {
		return fmt.Errorf("the clean stop cannot be stored: %w; %s", cause(err), remedy(err))
	}
	return nil
}
