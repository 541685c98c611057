package sessionstore

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/protocol"
)

// drawReq draws a req of either kind, or none.
var drawReq = rapid.OneOf(rapid.Just(protocol.ReqID{}), rapid.Map(rapid.Int64(), protocol.NumReq),
	rapid.Map(rapid.StringN(1, 64, 64), protocol.TextReq))

// drawTime draws a time within a year of now, and the zero time.
var drawTime = rapid.Custom(func(t *rapid.T) time.Time {
	if rapid.Bool().Draw(t, "none") {
		return time.Time{}
	}
	const year = 365 * 24 * time.Hour
	return time.Now().Add(time.Duration(rapid.Int64Range(-int64(year), int64(year)).Draw(t, "ago")))
})

func drawReply(t *rapid.T) *protocol.Reply {
	r := &protocol.Reply{ErrorCode: int(rapid.Int32().Draw(t, "code")), Req: drawReq.Draw(t, "reply's req"),
		Session: rapid.String().Draw(t, "session"), Reason: protocol.Reason(rapid.String().Draw(t, "reason")),
		Detail: rapid.String().Draw(t, "detail"), End: rapid.Bool().Draw(t, "end"), Agent: rapid.String().Draw(t, "agent")}
	if rapid.Bool().Draw(t, "has step id") {
		r.StepID = new(int64)
		*r.StepID = rapid.Int64().Draw(t, "reply's step id")
	}
	return r
}

func drawAddr(t *rapid.T) netip.AddrPort {
	b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "addr")
	port := rapid.Uint16().Draw(t, "port")
	switch rapid.IntRange(0, 3).Draw(t, "family") {
	case 0:
		return netip.AddrPort{}
	case 1:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), port)
	case 2:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap().WithZone("eth0"), port)
	default:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), port)
	}
}

func drawRecord(t *rapid.T) *Record {
	count := rapid.IntRange(-1, 1<<31-1)
	r := &Record{
		Key: rapid.StringN(1, 80, 200).Draw(t, "key"), Name: rapid.String().Draw(t, "name"),
		Client: Client{drawAddr(t), rapid.String().Draw(t, "client"), rapid.String().Draw(t, "identity")},
		Ended:  rapid.Bool().Draw(t, "ended"), Steps: count.Draw(t, "steps"), Position: count.Draw(t, "position"),
		Expects: Expectation{rapid.Int64().Draw(t, "step id"), rapid.Bool().Draw(t, "known")},
		Began:   drawTime.Draw(t, "began"), Latest: time.Duration(rapid.Int64().Draw(t, "latest")),
		Replied: time.Now(), Interval: time.Duration(rapid.Int64().Draw(t, "interval")),
		Req: drawReq.Draw(t, "req"), GapFrom: drawTime.Draw(t, "from"), GapTo: drawTime.Draw(t, "to"),
		GapHeld: rapid.Bool().Draw(t, "held"), Passed: count.Draw(t, "passed"), Failed: count.Draw(t, "failed"),
		Undecided: count.Draw(t, "undecided"), Recent: rapid.Uint64().Draw(t, "recent"), Faulted: rapid.Bool().Draw(t, "faulted"),
		Generations: rapid.SliceOf(rapid.Uint64()).Draw(t, "generations"), Unnamed: rapid.Uint64().Draw(t, "unnamed"),
	}
	for range rapid.IntRange(0, 3).Draw(t, "validators") {
		r.Memory = append(r.Memory, State{rapid.String().Draw(t, "validator"), rapid.SliceOf(rapid.Byte()).Draw(t, "state")})
	}
	if rapid.Bool().Draw(t, "has reply") {
		r.Reply = drawReply(t)
	}
	return r
}

// TestRoundTrip: all that a record and its reply hold comes back.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRecord(t)
		o := Options{disk: newMemoryDisk(), clock: testClock(1), RememberedReplies: 4}
		f := open(t, o)
		store(t, f, r, 0)
		o.disk = f.disk.(*memoryDisk).clone()
		got := open(t, o).Restored()
		if len(got) != 1 || got[0].Times != TimesExact {
			t.Fatalf("%+v", got)
		}
		if diff := cmp.Diff(*r, got[0].Record, same); diff != "" {
			t.Errorf("- committed, + restored\n%s", diff)
		}
		if r.Reply != nil && !cmp.Equal(got[0].Replies, []protocol.Reply{*r.Reply}, same) {
			t.Errorf("replies %+v, want %+v", got[0].Replies, r.Reply)
		}
	})
}

// Replies are kept up to their number, also across starts and in new logs, and of those with the same
// req the last.
func TestReplies(t *testing.T) {
	o := Options{disk: newMemoryDisk(), clock: testClock(1), RememberedReplies: 3}
	f := open(t, o)
	var was Revision
	codes := func(restored []Restored) (codes []int) {
		for _, r := range restored[0].Replies {
			codes = append(codes, r.ErrorCode)
		}
		return codes
	}
	put := func(req int64, code int) {
		r := record("a", 1)
		if r.Req = protocol.NumReq(req); req == 0 {
			r.Req, r.Reply = protocol.ReqID{}, nil
		} else {
			r.Reply.Req, r.Reply.ErrorCode = r.Req, code
		}
		was = store(t, f, r, was)
	}
	for i := range 5 {
		put(int64(i+1), i+1)
	}
	f.compactAt = 0
	put(0, 0) // has no reply to keep
	put(4, 44)
	f = open(t, o)
	restored := f.Restored()
	if got := codes(restored); !slices.Equal(got, []int{5, 44}) { // the old 4 was the third
		t.Errorf("replies %v", got)
	}
	was = restored[0].Revision
	put(0, 0)
	restored = open(t, o).Restored()
	if got := codes(restored); !slices.Equal(got, []int{5, 44}) || restored[0].Reply != nil {
		t.Errorf("replies %v, the last %+v", got, restored[0].Reply)
	}
}

var update = flag.Bool("update", false, "write testdata/format-1.log")

// TestFormat1 reads a log that was written by the first version with format 1: later ones must read it
// too, and so it is never written again.
func TestFormat1(t *testing.T) {
	path := filepath.Join("testdata", "format-1.log")
	if *update {
		writeFixture(t, path)
	}
	data, err := os.ReadFile(path)
	must(t, err)
	d := newMemoryDisk()
	d.files["log-3"] = &memoryFile{disk: d, name: "log-3", data: data}
	f := open(t, Options{disk: d, clock: testClock(7), RememberedReplies: 10})
	restored := f.Restored()
	if s := f.Status(); s.DroppedWhy != "" || !cmp.Equal(positions(restored), map[string]int{"a": 3, "192.0.2.7:40000#1": 1}) {
		t.Fatalf("found %v, status %+v", positions(restored), s)
	}
	want := record("a", 3)
	got := restored[1]
	want.Began, want.Replied, want.GapFrom = got.Began, got.Replied, got.GapFrom
	if diff := cmp.Diff(*want, got.Record, same); diff != "" || len(got.Replies) != 3 || got.Times != TimesByWall {
		t.Errorf("%d replies, times %d (- written, + read)\n%s", len(got.Replies), got.Times, diff)
	}
	if restored[0].Unnamed != 1 || restored[0].Name != "" || restored[0].Reply != nil {
		t.Errorf("the nameless session: %+v", restored[0].Record)
	}
}

func writeFixture(t *testing.T, path string) {
	t.Helper()
	d := newMemoryDisk()
	f := open(t, Options{PowerCut: true, disk: d, clock: testClock(1), Agent: "stepagent format 1", RememberedReplies: 10})
	var was Revision
	for i := 1; i <= 3; i++ {
		was = store(t, f, record("a", i), was)
	}
	nameless := record("192.0.2.7:40000#1", 1)
	nameless.Name, nameless.Reply, nameless.Unnamed = "", nil, 1
	store(t, f, nameless, 0)
	store(t, f, record("gone", 1), 0)
	f.Forget("gone")
	f.compactAt = 0
	store(t, f, record("gone too", 1), 0)
	f.Forget("gone too")
	must(t, f.Close())
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, d.last().data, 0o644))
}

// FuzzLog: no bytes stop the start, and what was read can be stored and read again.
func FuzzLog(f *testing.F) {
	d := newMemoryDisk()
	s := open(f, Options{disk: d, clock: testClock(1)})
	store(f, s, record("a", 1), 0)
	data := d.last().data
	f.Add(data[headerBytes:], true)
	f.Add(data[headerBytes+frameBytes:], false)
	f.Fuzz(func(t *testing.T, body []byte, payload bool) {
		d := d.clone()
		last := d.last()
		h, _ := parseHeader(last.data)
		last.data = last.data[:headerBytes:headerBytes]
		if payload { // of a sound frame
			frame := append(make([]byte, frameBytes), body...)
			sealFrame(frame, h.mark, headerBytes)
			body = frame
		}
		last.data = append(last.data, body...)
		found := open(t, Options{disk: d, clock: testClock(1)}).Restored()
		again := open(t, Options{disk: d.clone(), clock: testClock(1)}).Restored()
		if diff := cmp.Diff(found, again, same, cmp.Comparer(func(Revision, Revision) bool { return true })); diff != "" {
			t.Errorf("- first start, + second\n%s", diff)
		}
	})
}
