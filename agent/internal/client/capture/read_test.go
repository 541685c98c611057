package capture_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

var (
	client4 = netip.MustParseAddrPort("192.0.2.1:40000")
	agent4  = netip.MustParseAddrPort("192.0.2.2:8080")
	client6 = netip.MustParseAddrPort("[2001:db8::1]:40000")
	agent6  = netip.MustParseAddrPort("[2001:db8::2]:8080")
	began   = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)
)

// talk is a short conversation: two messages each way.
func talk(client, agent netip.AddrPort, clientISN, agentISN uint32) *capturetest.Talk {
	t := capturetest.NewTalk(client, agent, began, clientISN, agentISN)
	t.Open(0)
	t.Ask(time.Millisecond, "one")
	t.Reply(2*time.Millisecond, "first")
	t.Ask(time.Second, "two")
	t.Reply(1002*time.Millisecond, "second")
	t.Close(1500*time.Millisecond, client)
	return t
}

func read(t *testing.T, file []byte) *capture.Capture {
	t.Helper()
	c, err := capture.Read(t.Context(), bytes.NewReader(file), "test.pcap", capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// content returns the bytes of a stream whose first chunk is all there is.
func content(s *capture.Stream) string {
	var b strings.Builder
	for _, c := range s.Chunks {
		fmt.Fprintf(&b, "%s", c.Data)
	}
	return b.String()
}

func checkTalk(t *testing.T, c *capture.Capture) {
	t.Helper()
	if len(c.Conns) != 1 {
		t.Fatalf("%d connections, skipped %+v", len(c.Conns), c.Skipped)
	}
	conn := c.Conns[0]
	if up, down := content(conn.Up), content(conn.Down); up != "onetwo" || down != "firstsecond" {
		t.Errorf("up %q, down %q", up, down)
	}
	if !conn.Up.Started || !conn.Down.Started || len(conn.Up.Missing)+len(conn.Down.Missing) > 0 {
		t.Errorf("up %+v, down %+v", conn.Up, conn.Down)
	}
	if len(conn.Up.Damaged)+len(conn.Down.Damaged)+len(conn.Contradictions)+len(conn.Up.Conflicts) > 0 {
		t.Errorf("damaged or contradictory: %+v", conn)
	}
	if at := conn.Up.Chunks[0].At(0); !at.Time.Equal(began.Add(time.Millisecond)) || at.Packet != 4 {
		t.Errorf("the first byte came at %+v", at)
	}
	if at := conn.Up.Chunks[0].At(5); !at.Time.Equal(began.Add(time.Second)) {
		t.Errorf("the last byte came at %+v", at)
	}
	if conn.Opened.Packet != 1 || conn.Up.FIN.IsZero() || conn.Down.FIN.IsZero() {
		t.Errorf("opened %+v, ended %+v and %+v", conn.Opened, conn.Up.FIN, conn.Down.FIN)
	}
}

// TestEveryLinkAndFormat: a conversation is the same in whatever it is captured.
func TestEveryLinkAndFormat(t *testing.T) {
	for _, link := range capturetest.Links() {
		for n := range 64 {
			f := capturetest.File{Link: link, Pcap: n&1 != 0, Micro: n&2 != 0, Big: n&4 != 0, Gzip: n&8 != 0, Extended: n&16 != 0}
			packets := talk(client4, agent4, 1, 1).Packets()
			if n&32 != 0 {
				packets = talk(client6, agent6, 1, 1).Packets()
			}
			t.Run(fmt.Sprintf("%s/%d", link, n), func(t *testing.T) {
				checkTalk(t, read(t, f.Write(packets)))
			})
		}
	}
}

// TestWhatTheFileSays: comments and drops are read.
func TestWhatTheFileSays(t *testing.T) {
	for _, big := range []bool{false, true} {
		c := read(t, capturetest.File{Comment: "by hand", Dropped: 7, Big: big}.Write(talk(client4, agent4, 1, 1).Packets()))
		if len(c.Comments) != 1 || c.Comments[0] != "by hand" || c.Dropped == nil || *c.Dropped != 7 || c.Format != "pcapng" {
			t.Errorf("%+v", c)
		}
	}
	c := read(t, capturetest.File{Pcap: true}.Write(talk(client4, agent4, 1, 1).Packets()))
	if c.Dropped != nil || c.Format != "pcap" || c.Packets != 14 {
		t.Errorf("%+v", c)
	}
}

// TestCutAnywhere: a file that is cut gives an error that names it, or holds fewer packets
// when it was cut between two.
func TestCutAnywhere(t *testing.T) {
	for _, f := range []capturetest.File{{Pcap: true}, {}, {Gzip: true}, {Pcap: true, Gzip: true}, {Big: true}} {
		whole := f.Write(talk(client4, agent4, 1, 1).Packets())
		for n := range whole {
			c, err := capture.Read(t.Context(), bytes.NewReader(whole[:n]), "cut.pcap", capture.Options{})
			var wrong *capture.FileError
			switch {
			case err == nil && (f.Gzip || c.Packets == 14 && f.Pcap):
				t.Fatalf("%+v cut at byte %d of %d: no error", f, n, len(whole))
			case err == nil:
			case !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), "cut.pcap: "):
				t.Fatalf("cut at byte %d: %v", n, err)
			case c != nil && c.Packets > 0 && wrong.Packet == 0:
				t.Fatalf("cut at byte %d: the packet is not named: %v", n, err)
			}
		}
	}
}

// TestNoCapture: what is no capture says so.
func TestNoCapture(t *testing.T) {
	whole := capturetest.File{Pcap: true}.Write(talk(client4, agent4, 1, 1).Packets())
	hostile := bytes.Clone(whole)
	copy(hostile[24+8:], []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	hostileNG := capturetest.File{}.Write(talk(client4, agent4, 1, 1).Packets())
	copy(hostileNG[28+4:], []byte{0xff, 0xff, 0xff, 0xff})
	future := capturetest.File{}.Write(talk(client4, agent4, 1, 1).Packets())
	future[28+20] = 0 // the resolution of the interface is a second
	future = bytes.Replace(future, []byte{9, 0, 1, 0, 9}, []byte{9, 0, 1, 0, 0x80}, 1)
	tooLong := ": capture length exceeds snap length: 4294967295 > 262144"
	if strconv.IntSize == 32 {
		tooLong = ": length from file does not fit in int"
	}
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"empty":        {nil, "x: the file is empty"},
		"text":         {[]byte("{\"event\":\"start\"}"), "x: neither pcap nor pcapng: it begins with the bytes 7b 22 65 76"},
		"short":        {[]byte{0xa1}, "x: the file ends in the middle; it was cut, or is still being written"},
		"hostile":      {hostile, tooLong},
		"far future":   {future, ": its time is in the year 58134"},
		"hostile ng":   {hostileNG, "x: packet 1, near byte"},
		"gzip of gzip": {capturetest.File{Gzip: true}.Write(nil)[:3], "x: the file ends in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := capture.Read(t.Context(), bytes.NewReader(test.file), "x", capture.Options{})
			if err == nil || !strings.HasPrefix(err.Error(), "x: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// TestPort: with a port, other connections are left out.
func TestPort(t *testing.T) {
	other := talk(client4, netip.MustParseAddrPort("192.0.2.2:22"), 9, 9)
	file := capturetest.File{}.Write(capturetest.Merge(talk(client4, agent4, 1, 1), other))
	if c := read(t, file); len(c.Conns) != 2 {
		t.Errorf("%d connections", len(c.Conns))
	}
	c, err := capture.Read(t.Context(), bytes.NewReader(file), "x", capture.Options{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Conns) != 1 || content(c.Conns[0].Up) != "onetwo" {
		t.Errorf("%d connections with a port", len(c.Conns))
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range []capturetest.File{{Pcap: true, Link: capturetest.Ethernet}, {Link: capturetest.SLL2}, {Big: true, Link: capturetest.VLAN}, {Pcap: true, Big: true, Extended: true}} {
		f.Add(file.Write(talk(client4, agent4, 1, 1).Packets()))
		f.Add(file.Write(talk(client6, agent6, 1, 1).Packets()))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		c, err := capture.Read(t.Context(), bytes.NewReader(file), "x", capture.Options{})
		if err != nil && !strings.HasPrefix(err.Error(), "x: ") {
			t.Errorf("the error does not name the file: %v", err)
		}
		if c == nil {
			return
		}
		for _, conn := range c.Conns {
			checkStream(t, conn.Up)
			checkStream(t, conn.Down)
		}
	})
}

// checkStream checks what holds for every stream.
func checkStream(t *testing.T, s *capture.Stream) {
	t.Helper()
	end := int64(0)
	for i, c := range s.Chunks {
		if c.Offset < end || i > 0 && c.Offset == end || len(c.Data) == 0 {
			t.Fatalf("chunk %d begins at %d, the one before ends at %d", i, c.Offset, end)
		}
		end = c.Offset + int64(len(c.Data))
		for _, at := range []int{0, len(c.Data) / 2, len(c.Data) - 1} {
			if c.At(at).IsZero() {
				t.Fatalf("byte %d of chunk %d has no packet", at, i)
			}
		}
	}
	for _, m := range s.Missing {
		if m.Bytes <= 0 || m.Offset < 0 {
			t.Fatalf("missing %+v", m)
		}
	}
}
