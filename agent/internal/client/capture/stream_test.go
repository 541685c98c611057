package capture_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// TestWrap: sequence numbers begin again at 0 in mid-stream.
func TestWrap(t *testing.T) {
	for _, isn := range []uint32{math.MaxUint32, math.MaxUint32 - 1, math.MaxUint32 - 4, math.MaxInt32, math.MaxInt32 - 3} {
		checkTalk(t, read(t, capturetest.File{}.Write(talk(client4, agent4, isn, isn-1).Packets())))
	}
}

// TestAnyOrder: whatever the network does to the packets, the streams come out the same, as
// long as every byte came by at least once.
func TestAnyOrder(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		isn := rapid.Uint32().Draw(r, "isn")
		packets := capturetest.Meddle(r, talk(client4, agent4, isn, isn+77).Packets())
		c, err := capture.Read(t.Context(), strings.NewReader(string(capturetest.File{}.Write(packets))), "x", capture.Options{})
		if err != nil {
			r.Fatal(err)
		}
		if len(c.Conns) != 1 {
			r.Fatalf("%d connections", len(c.Conns))
		}
		conn := c.Conns[0]
		if content(conn.Up) != "onetwo" || content(conn.Down) != "firstsecond" {
			r.Fatalf("up %q, down %q", content(conn.Up), content(conn.Down))
		}
		if n := len(conn.Up.Missing) + len(conn.Down.Missing) + len(conn.Up.Conflicts) + len(conn.Contradictions); n > 0 {
			r.Fatalf("up %+v, down %+v, %+v", conn.Up, conn.Down, conn.Contradictions)
		}
		// A byte is complete when the last of those before it has come.
		var latest time.Time
		for i := range conn.Down.Chunks[0].Data {
			at := conn.Down.Chunks[0].At(i).Time
			if at.Before(latest) {
				r.Fatalf("byte %d is complete before byte %d", i, i-1)
			}
			latest = at
		}
	})
}

// TestLoss: every packet with bytes that is lost is missed.
func TestLoss(t *testing.T) {
	for i, p := range talk(client4, agent4, 1, 1).Packets() {
		packets := slices.Delete(talk(client4, agent4, 1, 1).Packets(), i, i+1)
		conn := read(t, capturetest.File{}.Write(packets)).Conns[0]
		missing := conn.Up.Missing
		if p.From == agent4 {
			missing = conn.Down.Missing
		}
		if len(p.Payload) > 0 && (len(missing) != 1 || missing[0].Bytes != int64(len(p.Payload)) || missing[0].Cut) {
			t.Errorf("without packet %d: missing %+v", i+1, missing)
		}
		if len(p.Payload) == 0 && !p.FIN && len(missing) > 0 {
			t.Errorf("without packet %d, which has no bytes: missing %+v", i+1, missing)
		}
	}
}

// TestMidStream: a capture that begins in the middle says so, whichever packet comes first.
func TestMidStream(t *testing.T) {
	all := talk(client4, agent4, 5, 6).Packets()
	conn := read(t, capturetest.File{}.Write(all[5:])).Conns[0]
	up, down := conn.Up, conn.Down
	if up.From != client4 { // the agent's packet came first
		up, down = down, up
	}
	if up.Started || down.Started || !conn.Opened.IsZero() || content(up) != "two" || content(down) != "firstsecond" {
		t.Errorf("%+v: up %q, down %q", conn, content(up), content(down))
	}
}

// TestTampering: changed bytes and changed times are found.
func TestTampering(t *testing.T) {
	t.Run("bytes in one of two copies", func(t *testing.T) {
		packets := talk(client4, agent4, 1, 1).Packets()
		twin := packets[3]
		twin.Payload = []byte("ONE")
		conn := read(t, capturetest.File{}.Write(slices.Insert(packets, 4, twin))).Conns[0]
		if len(conn.Up.Conflicts) != 1 || conn.Up.Conflicts[0] != (capture.Conflict{Packet: 5, Earlier: 4}) || content(conn.Up) != "onetwo" {
			t.Errorf("%+v", conn.Up)
		}
	})
	t.Run("bytes without their checksum", func(t *testing.T) {
		file := capturetest.File{}.Write(talk(client4, agent4, 1, 1).Packets())
		changed := []byte(strings.Replace(string(file), "first", "worst", 1))
		conn := read(t, changed).Conns[0]
		if len(conn.Down.Damaged) != 1 || conn.Down.Damaged[0].Packet != 6 || !conn.Down.Damaged[0].AckedAtOnce {
			t.Errorf("damaged: %v", conn.Down.Damaged)
		}
	})
	t.Run("damaged and sent again", func(t *testing.T) {
		packets := talk(client4, agent4, 1, 1).Packets()
		file := string(capturetest.File{}.Write(slices.Insert(packets, 6, packets[5])))
		conn := read(t, []byte(strings.Replace(file, "first", "worst", 1))).Conns[0]
		if len(conn.Down.Damaged)+len(conn.Down.Conflicts) > 0 || content(conn.Down) != "firstsecond" {
			t.Errorf("%+v", conn.Down)
		}
	})
	t.Run("a reply moved behind its acknowledgement", func(t *testing.T) {
		packets := talk(client4, agent4, 1, 1).Packets()
		packets[5].Time = packets[5].Time.Add(100 * time.Millisecond)
		c := read(t, capturetest.File{}.Write(packets))
		late := c.Conns[0].Down.Late
		if c.Backwards.Count != 1 || len(late) != 1 || late[0].Packet != 6 || late[0].AckedIn != 7 {
			t.Errorf("%+v, %+v", c.Backwards, late)
		}
	})
	t.Run("a time against the sender's clock", func(t *testing.T) {
		packets := talk(client4, agent4, 1, 1).Packets()
		for i := range packets[7:9] { // the second request and its acknowledgement, earlier
			packets[7+i].Time = packets[7+i].Time.Add(-500 * time.Millisecond)
		}
		c := read(t, capturetest.File{}.Write(packets))
		if n := len(c.Conns[0].Contradictions); c.Backwards.Count > 0 || n == 0 {
			t.Errorf("%+v", c.Conns[0])
		}
	})
}

// TestSnaplen: packets that were cut off are missing in part, and known to be cut.
func TestSnaplen(t *testing.T) {
	c := read(t, capturetest.File{Snaplen: 20 + 32 + 2}.Write(talk(client4, agent4, 1, 1).Packets()))
	conn := c.Conns[0]
	if len(conn.Up.Missing) == 0 || !conn.Up.Missing[0].Cut || conn.Up.Missing[0].Bytes != 1 || content(conn.Up) != "ontw" {
		t.Errorf("%q, %+v", content(conn.Up), conn.Up.Missing)
	}
}

// TestSamePortsAgain: a second connection between the same ends is another one.
func TestSamePortsAgain(t *testing.T) {
	second := capturetest.NewTalk(client4, agent4, began.Add(time.Minute), 500, 600)
	second.Open(0)
	second.Ask(time.Millisecond, "three")
	c := read(t, capturetest.File{}.Write(capturetest.Merge(talk(client4, agent4, 1, 1), second)))
	if len(c.Conns) != 2 || content(c.Conns[1].Up) != "three" || content(c.Conns[0].Up) != "onetwo" {
		t.Errorf("%d connections", len(c.Conns))
	}
}
