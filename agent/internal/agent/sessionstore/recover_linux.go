package sessionstore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// recover reads the folder into the index, sets aside files that are damaged or of a newer format, and
// begins a new log.
func (f *File) recover() error {
	names, err := f.disk.names()
	if err != nil {
		return fmt.Errorf("the folder %s cannot be read: %w; name a folder of the agent", f.opts.Dir, cause(err))
	}
	r := recovery{File: f, names: names, lost: map[string]bool{}}
	if err := r.read(); err != nil {
		return err
	}
	r.apply()
	r.decode()
	r.report()
	if err := r.setAside(); err != nil {
		return err
	}
	if err := f.renew(&group{}); err != nil {
		return fmt.Errorf("the folder %s cannot be written: %w; %s", f.opts.Dir, cause(err), remedy(err))
	}
	f.plan()
	f.removeOld()
	f.status.Snapshots = 0
	return nil
}

// A recovery is the reading of a folder when it is opened.
type recovery struct {
	*File
	names []string
	logs  []numbered // to be applied one after another
	boot  bootID     // of the process that wrote them
	lost  map[string]bool
	why   []string
}

type numbered struct {
	*log
	number uint64
}

// read reads the logs from the newest back to the first that needs no older one.
func (r *recovery) read() error {
	var numbers []uint64
	var aside uint64 // logs before that are older than what was set aside
	for _, name := range r.names {
		number, suffix, ok := parseName(name)
		if !ok {
			continue
		}
		r.number = max(r.number, number)
		switch suffix {
		case "":
			numbers = append(numbers, number)
		case newSuffix: // it was not complete
		default:
			aside = max(aside, number)
		}
	}
	slices.Sort(numbers)
	if aside > 0 && (len(numbers) == 0 || aside >= numbers[len(numbers)-1]) {
		r.lose(aside, "was set aside by a start that did not come to its end")
	}
	last := true
	for _, number := range slices.Backward(numbers) {
		if number < aside {
			break
		}
		data, err := r.disk.read(logName(number))
		if err != nil {
			return fmt.Errorf("the sessions in %s/%s cannot be read: %w; check the disk, or move the file away to start without them",
				r.opts.Dir, logName(number), cause(err))
		}
		l := parse(data, last, r.clock.boot)
		r.logs = append(r.logs, numbered{l, number})
		if l.whole {
			break
		}
		last = last && l.state == headerMissing // nothing was written to it
	}
	slices.Reverse(r.logs)
	return nil
}

// apply fills the index.
func (r *recovery) apply() {
	if len(r.logs) == 0 {
		return
	}
	if first := r.logs[0]; !first.whole && first.state != headerNewer && first.state != headerDamaged {
		r.lose(first.number, "begins after a log that is missing")
	}
	var last *log
	for _, l := range r.logs {
		switch l.state {
		case headerMissing:
			continue
		case headerNewer:
			r.lose(l.number, "is of a newer version of the agent")
		case headerDamaged:
			r.lose(l.number, "is damaged")
		case headerSound:
			last = l.log
			r.replay(l)
		}
		if l.cut > 0 {
			r.opts.Log.Info("the end of a log of sessions was not written completely, and never acknowledged; it is left out",
				slog.String("file", logName(l.number)), slog.Int("bytes", l.cut))
		}
	}
	if last == nil {
		return
	}
	r.boot = last.boot
	if last.boot != r.clock.boot && last.level != levelPowerCut && !last.clean {
		r.loseAll("the machine has restarted, and sessions were stored to survive a restart of the agent alone; " +
			`set session.survives to "power_cut"`)
	}
}

// replay applies the operations of one log.
func (r *recovery) replay(l numbered) {
	for _, op := range l.ops {
		switch op.kind {
		case opLost:
			r.lose(l.number, "is damaged")
		case opPut, opSet:
			record, replies := splitPut(op.body)
			r.index.put(string(keyOf(record)), record, replies, op.kind == opSet, l.number)
		case opForget:
			r.index.remove(string(op.body))
			delete(r.lost, string(op.body))
		}
	}
}

// lose drops what is known so far, as it may be older than what was acknowledged.
func (r *recovery) lose(number uint64, what string) {
	r.loseAll(logName(number) + " " + what)
}

func (r *recovery) loseAll(why string) {
	if !slices.Contains(r.why, why) {
		r.why = append(r.why, why)
	}
	for key := range r.index.byKey {
		r.lost[key] = true
		r.index.remove(key)
	}
}

// decode decodes what is in the index. Times of another boot are converted to those of this one.
func (r *recovery) decode() {
	r.restored = make([]Restored, 0, len(r.index.byKey))
	for _, key := range slices.Sorted(maps.Keys(r.index.byKey)) {
		e := r.index.byKey[key]
		record, times, err := decodeRecord(e.record, r.clock, r.boot)
		replies, repliesErr := decodeReplies(e.replies, e.count)
		if err := errors.Join(err, repliesErr); err != nil {
			r.index.remove(key)
			r.lost[key] = true
			r.why = append(r.why, err.Error())
			continue
		}
		if record.Reply != nil && len(replies) > 0 {
			*record.Reply = replies[len(replies)-1]
		} else {
			record.Reply = nil
		}
		if r.boot != r.clock.boot {
			r.index.bytes -= e.bytes()
			e.record = appendRecord(nil, &record, r.clock, times)
			r.index.bytes += e.bytes()
		}
		r.revision++
		e.revision = r.revision
		r.restored = append(r.restored, Restored{Record: record, Replies: replies, Revision: e.revision, Times: times})
		delete(r.lost, key)
	}
}

// setAside renames files that are damaged or newer, so that they are never overwritten.
func (r *recovery) setAside() error {
	for i, l := range r.logs {
		suffix := ".damaged"
		switch {
		case l.state == headerNewer:
			suffix = ".newer"
		case l.state == headerDamaged, l.lost, i == 0 && l.state == headerSound && !l.whole:
		default:
			continue
		}
		name := logName(l.number)
		to := name + suffix
		for n := 1; slices.Contains(r.names, to); n++ {
			to = name + suffix + "." + strconv.Itoa(n)
		}
		if err := r.disk.rename(name, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s/%s cannot be renamed to %s: %w; %s", r.opts.Dir, name, to, cause(err), remedy(err))
		}
		r.status.Damaged = append(r.status.Damaged, to)
		r.opts.Log.Warn("a log of sessions is set aside; remove it when it is of no use any more",
			slog.String("file", to), slog.String("dir", r.opts.Dir))
	}
	return nil
}

// report says what was found.
func (r *recovery) report() {
	s := &r.status
	s.Restored, s.Dropped = len(r.restored), len(r.lost)
	if len(r.why) == 0 {
		return
	}
	s.DroppedWhy = strings.Join(r.why, "; ")
	r.opts.Log.Warn("sessions of before the start are missing", slog.Int("known", s.Dropped),
		slog.String("why", s.DroppedWhy), slog.String("dir", r.opts.Dir))
}
