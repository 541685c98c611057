package sessionstore

import (
	"container/list"
	"encoding/binary"
)

// An index holds what is stored: of each key the encoded last record and the replies. Its entries are
// listed by the log that has all of them, the oldest log first.
type index struct {
	byKey map[string]*entry
	list  *list.List // of *entry
	bytes int64      // of all entries
	limit int        // replies of one key
}

// An entry is what is stored under a key.
type entry struct {
	key      string
	record   []byte
	replies  []byte // encoded, one after another
	count    int    // of replies
	revision Revision
	log      uint64        // number of the log that has record and replies
	at       *list.Element // in index.list; nil once it was removed

	// inDoubt says that the commit of revision was given up before its end, so that before is what
	// the caller knows.
	inDoubt bool
	before  Revision
}

func newIndex(limit int) *index {
	return &index{byKey: map[string]*entry{}, list: list.New(), limit: max(limit, 1)}
}

// entryBytes is what an entry takes in a log besides its parts.
const entryBytes = 8

func (e *entry) bytes() int64 { return int64(len(e.record) + len(e.replies) + entryBytes) }

// put stores a record and adds its replies to those of the key; set says that those are void. The
// log with the given number has it.
func (x *index) put(key string, record, replies []byte, set bool, log uint64) *entry {
	e := x.byKey[key]
	if e == nil {
		e = &entry{key: key, log: log}
		e.at = x.list.PushBack(e)
		x.byKey[key] = e
	} else {
		x.bytes -= e.bytes()
	}
	if set {
		e.replies, e.count = e.replies[:0], 0
	}
	e.record = append(e.record[:0], record...)
	e.replies = append(e.replies, replies...)
	for rest := replies; len(rest) > 0; e.count++ {
		rest = rest[replyLength(rest):]
	}
	first := 0
	for ; e.count > x.limit; e.count-- {
		first += replyLength(e.replies[first:])
	}
	if first > 0 {
		e.replies = append(e.replies[:0], e.replies[first:]...)
	}
	x.bytes += e.bytes()
	return e
}

// replyLength returns the length of the first reply; all of b where that is damaged.
func replyLength(b []byte) int {
	if len(b) < 2 {
		return len(b)
	}
	return min(2+int(binary.LittleEndian.Uint16(b)), len(b))
}

// moved notes that the log with the given number has all of the entry now.
func (x *index) moved(e *entry, log uint64) {
	if e.at != nil {
		e.log = log
		x.list.MoveToBack(e.at)
	}
}

// remove removes a key and reports whether it was there.
func (x *index) remove(key string) bool {
	e := x.byKey[key]
	if e == nil {
		return false
	}
	delete(x.byKey, key)
	x.list.Remove(e.at)
	e.at = nil
	x.bytes -= e.bytes()
	return true
}
