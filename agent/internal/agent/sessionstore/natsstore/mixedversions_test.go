package natsstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// A laterAgent stores records as a later version may: of the next format, with a field that this version does
// not know behind those of the record and another one behind those of the reply.
type laterAgent struct {
	*Store
	oldestReader byte // of what it stores
}

var laterField = []byte("a field of a later version")

// keep stores a record that must be stored.
func (a *laterAgent) keep(t *testing.T, r *sessionstore.Record, was sessionstore.Revision) sessionstore.Revision {
	t.Helper()
	begun, err := a.Begin(r, was)
	must(t, err)
	c := begun.Of.(*commit)
	const recordAt = headerBytes + 16 // behind the id of the boot
	length, n := binary.Uvarint(c.value[recordAt:])
	record := c.value[recordAt+n:][:length]
	reply := c.value[recordAt+n+int(length)+2:] // behind its length
	v := append(binary.AppendUvarint(slices.Clone(c.value[:recordAt]), length+uint64(len(laterField))), record...)
	v = binary.LittleEndian.AppendUint16(append(v, laterField...), uint16(len(reply)+len(laterField)))
	c.value = append(append(v, reply...), laterField...)
	c.value[len(magic)], c.value[len(magic)+1] = format+1, a.oldestReader
	seal(c.value)
	now, err := a.Wait(t.Context(), begun)
	must(t, err)
	return now
}

// last returns the last record of a key of whatever format, and whether it has what this version does not know.
func (a *laterAgent) last(t *testing.T, key string) (last *decoded, later bool) {
	t.Helper()
	m, err := a.get(t.Context(), getRequest{Last: a.subject(key)})
	must(t, err)
	later = bytes.Count(m.Data, laterField) == 2
	m.Data[len(magic)+1] = format
	seal(m.Data)
	last, err = a.decode(key, m)
	must(t, err)
	return last, later
}

// An agent goes on with a session of a later version whose records it can read, and that version with what it
// stores. It leaves a session alone whose record it cannot read, and the later version goes on with that.
func TestMixedVersions(t *testing.T) {
	all := startServers(t, 1)
	var log bytes.Buffer
	earlier, err := Open(Options{Conn: connect(t, all.urls()), Bucket: testBucket, RememberedReplies: 16, Log: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, err)
	eventually(t, "a connection", earlier.conn.Connected)
	later := &laterAgent{open(t, all.urls(), bounds{}), format}
	was := later.keep(t, record("x", counted(1)), 0)
	was = later.keep(t, record("x", counted(2)), was)
	if _, isLater := later.last(t, "x"); !isLater {
		t.Error("a later version does not find its fields")
	}
	goesOn := func(agent *Store, position int) {
		found, revision := load(t, agent, "x")
		if got := replied(found.Replies); found.Position != position || revision != was || !slices.Equal(got, counted(position)) {
			t.Fatalf("position %d at revision %d, replies to %v; want %d at %d", found.Position, revision, got, position, was)
		}
	}
	goesOn(earlier, 2)
	was = keep(t, earlier, record("x", counted(3)), was)
	goesOn(later.Store, 3)
	was = later.keep(t, record("x", counted(4)), was)
	goesOn(earlier, 4)
	later.oldestReader = format + 1
	newest := later.keep(t, record("x", counted(5)), was)
	if _, err := commitTo(t.Context(), earlier, record("x", counted(5)), was); !errors.Is(err, sessionstore.ErrConflict) {
		t.Errorf("a commit on what it cannot read: %v", err)
	}
	if _, _, ok, err := earlier.Load(context.Background(), "x"); ok || !errors.Is(err, sessionstore.ErrAway) || !errors.Is(err, errNewer) {
		t.Errorf("a record that it cannot read: %t, error %v", ok, err)
	}
	earlier.Forget("x")
	must(t, earlier.Close()) // its goroutines log too
	if !strings.Contains(log.String(), "stored by a newer version of the agent") || !strings.Contains(log.String(), "session=x") {
		t.Errorf("the log:\n%s", &log)
	}
	last, isLater := later.last(t, "x")
	if sessionstore.Revision(last.sequence) != newest || last.Position != 5 || !isLater {
		t.Errorf("position %d at revision %d, want 5 at %d", last.Position, last.sequence, newest)
	}
	later.keep(t, record("x", counted(6)), newest)
}
