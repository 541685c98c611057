package sessionstore

import (
	"context"
	"sync"
	"time"
)

// Shared is a Store that several agents write, so that a session goes on at another agent. Restored
// returns nothing: a session is read by Load when a client names it.
//
// No agent owns a session. Each may judge its next step, and the commit decides: Wait fails with
// ErrConflict where another agent has stored a record since. A caller does as follows.
//
//   - It calls Load before the first step of a name that it does not know, and commits with the
//     revision that Load returned, also where nothing was found.
//   - On ErrConflict it drops what it knows of the key and calls Load. If the request is among the
//     replies it answers with that reply, else it judges the step again from the loaded record. So it
//     does after an earlier ErrInDoubt: the commit that was in doubt may be the one that conflicts.
//   - It ends an idle session only if its own commit was the last one that it knows of, and leaves
//     the session alone where that conflicts: the session is at another agent. A record that Load
//     returns past its deadline is ended as incomplete, by a commit, before the name begins anew.
//   - Forget removes only what this agent has stored last. It is called for each name that the caller
//     drops from memory, but for one whose open session this agent has stored last.
//   - Records without a name are not stored: their commits succeed at once, with the revision that
//     they replace.
type Shared interface {
	Store
	// Load reads what is stored under a key, with its replies and with times of the moment of reading.
	// It waits for the servers, and asks one that has all that was acknowledged. Where nothing is
	// stored ok is false, and the next commit must replace the revision all the same.
	//
	// The error wraps ErrAway and is a sentence with the cause and what to do: the servers do not
	// answer, or the record is of a newer version or damaged. The step must then be answered with busy.
	// What cannot be read is never overwritten, as no commit knows its revision.
	Load(ctx context.Context, key string) (found Restored, was Revision, ok bool, err error)
}

// A Codec encodes records for a store of another package, whose records are read by agents of other
// boots and machines. It is safe for concurrent use; see NewCodec.
type Codec struct {
	mu     sync.Mutex // guards the fields below
	clock  *clock
	record []byte // a buffer
}

// Append appends a record with its reply, in the format of the file store's commits behind the id of the
// boot.
func (c *Codec) Append(b []byte, r *Record) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record = appendRecord(c.record[:0], r, c.clock, TimesExact)
	b = append(b, c.clock.boot[:]...)
	b = appendString(b, c.record)
	if r.Reply != nil {
		b = appendReply(b, r.Reply)
	}
	return b
}

// Decode decodes what Append of this version or of a later one with the same format has appended. Times
// are relative to now.
func (c *Codec) Decode(b []byte) (Record, Times, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var boot bootID
	if copy(boot[:], b) < len(boot) {
		return Record{}, 0, errRecord
	}
	record, reply := splitPut(b[len(boot):])
	r, times, err := decodeRecord(record, c.clock.at(time.Now()), boot)
	if err != nil {
		return Record{}, 0, err
	}
	if r.Reply != nil {
		replies, err := decodeReplies(reply, 1)
		if err != nil || len(replies) == 0 {
			return Record{}, 0, errRecord
		}
		r.Reply = &replies[len(replies)-1]
	}
	return r, times, nil
}
