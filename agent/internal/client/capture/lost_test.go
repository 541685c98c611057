package capture_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// TestFragments: what IP has cut is put together, and pieces whose others are missing are told.
func TestFragments(t *testing.T) {
	for _, six := range []bool{false, true} {
		packets := talk(client4, agent4, 1, 1).Packets()
		if six {
			packets = talk(client6, agent6, 1, 1).Packets()
		}
		for _, extended := range []bool{false, true} {
			checkTalk(t, readMarked(t, capturetest.File{Fragments: 16, Extended: extended, Link: capturetest.VLAN}.Write(packets)))
		}
		file := capturetest.File{Fragments: 24, Pcap: true}.Write(packets)
		const header, record = 24, 16
		first := record + int(file[header+8])
		c := read(t, slices.Delete(file, header, header+first)) // the last piece of the first packet
		if c.Skipped.Fragments != 1 || c.Skipped.FirstFragment != 1 {
			t.Errorf("%+v", c.Skipped)
		}
	}
}

// readMarked reads a capture of pieces, and numbers the packets as if they were whole.
func readMarked(t *testing.T, file []byte) *capture.Capture {
	t.Helper()
	c := read(t, file)
	if c.Skipped.Fragments > 0 || c.Packets <= 14 {
		t.Errorf("%d packets, skipped %+v", c.Packets, c.Skipped)
	}
	whole := read(t, capturetest.File{}.Write(talk(client4, agent4, 1, 1).Packets()))
	if len(c.Conns) != 1 || len(c.Conns[0].Up.Chunks) != 1 {
		t.Fatalf("%+v", c.Skipped)
	}
	if content(c.Conns[0].Up) != content(whole.Conns[0].Up) || content(c.Conns[0].Down) != content(whole.Conns[0].Down) {
		t.Errorf("up %q, down %q", content(c.Conns[0].Up), content(c.Conns[0].Down))
	}
	return whole
}

// TestManyPieces: pieces that never come together are given up, and counted.
func TestManyPieces(t *testing.T) {
	var packets []capturetest.Packet
	for i := range 5000 {
		p := talk(client4, agent4, 1, 1).Packets()[3]
		p.ID = uint16(i + 1)
		packets = append(packets, p)
	}
	file := capturetest.File{Fragments: 16, Pcap: true}.Write(packets)
	var kept []byte
	rest := file[24:]
	for n := 0; len(rest) > 0; n++ { // without the last of three pieces each
		size := 16 + int(rest[8])
		if n%3 != 0 {
			kept = append(kept, rest[:size]...)
		}
		rest = rest[size:]
	}
	if c := read(t, append(file[:24:24], kept...)); c.Skipped.Fragments != c.Packets || c.Skipped.FirstFragment != 1 {
		t.Errorf("%d packets, %+v", c.Packets, c.Skipped)
	}
}

// TestAcknowledgedOnly: what one side acknowledges is known to have been sent, also where no
// packet of the other side is in the capture.
func TestAcknowledgedOnly(t *testing.T) {
	packets := slices.DeleteFunc(talk(client4, agent4, 1, 70000).Packets(), func(p capturetest.Packet) bool { return p.From == agent4 })
	down := read(t, capturetest.File{}.Write(packets)).Conns[0].Down
	bytes := int64(0)
	for _, m := range down.Missing {
		bytes += m.Bytes
	}
	if len(down.Packets) != 0 || down.Started || bytes != int64(len("firstsecond"))+1 { // and its FIN
		t.Errorf("%+v", down)
	}
}

// TestInterfaces: interfaces are written one behind the other, and their packets come in the
// order of their times all the same.
func TestInterfaces(t *testing.T) {
	packets := talk(client4, agent4, 1, 1).Packets()
	var mixed []capturetest.Packet
	half := (len(packets) + 1) / 2
	for i := range half { // the second half is the other interface's
		mixed = append(mixed, packets[i])
		if half+i < len(packets) {
			packets[half+i].Face = 1
			mixed = append(mixed, packets[half+i])
		}
	}
	c := read(t, capturetest.File{Faces: 2}.Write(mixed))
	conn := c.Conns[0]
	if content(conn.Up) != "onetwo" || content(conn.Down) != "firstsecond" || c.Backwards.Count > 0 || conn.Up.From != client4 ||
		len(conn.Up.Late)+len(conn.Down.Late)+len(conn.Contradictions) > 0 {
		t.Errorf("%+v, %+v", c.Backwards, conn)
	}
	for i := range mixed {
		mixed[i].Face = 0
	}
	if c = read(t, capturetest.File{}.Write(mixed)); c.Backwards.Count == 0 {
		t.Error("times that go back on one interface are not told")
	}
}

// TestIsFirstCopy: that a packet is the first with its bytes is certain where every packet before
// it is there.
func TestIsFirstCopy(t *testing.T) {
	packets := talk(client4, agent4, 1, 1).Packets()
	for drop := -1; drop < len(packets); drop++ {
		some := packets
		if drop >= 0 {
			some = slices.Delete(slices.Clone(packets), drop, drop+1)
		}
		up := read(t, capturetest.File{}.Write(some)).Conns[0].Up
		// The second request is packet 8, and follows an acknowledgement, packet 7.
		if want := drop != 6 && drop != 7; up.IsFirstCopy(int64(len("one"))) != want {
			t.Errorf("without packet %d: want %t", drop+1, want)
		}
	}
	quiet := talk(client4, agent4, 1, 1)
	quiet.NoID = true
	if read(t, capturetest.File{}.Write(quiet.Packets())).Conns[0].Up.IsFirstCopy(3) {
		t.Error("without a count nothing is certain")
	}
}

// asks is for Options.Wanted.
func asks(payload []byte) bool { return bytes.Contains(payload, []byte("step_id")) }

// bulk is a connection that carries n packets of 1400 bytes.
func bulk(client netip.AddrPort, n int) []capturetest.Packet {
	var all []capturetest.Packet
	payload := bytes.Repeat([]byte("x"), 1400)
	for i := range n {
		all = append(all, capturetest.Packet{Time: began.Add(time.Duration(i) * time.Millisecond), From: client,
			To: netip.MustParseAddrPort("192.0.2.9:443"), ACK: true, Seq: uint32(1 + i*1400), Payload: payload})
	}
	return all
}

// TestForeign: what is not wanted is counted and not held, and what is wanted is found in it,
// also when the mark of a message is cut in two.
func TestForeign(t *testing.T) {
	asking := capturetest.NewTalk(client4, agent4, began.Add(time.Second), 1, 1)
	asking.Open(0)
	asking.Ask(time.Millisecond, `{"ste`)
	asking.Ask(2*time.Millisecond, `p_id":1}`)
	empty := capturetest.NewTalk(netip.MustParseAddrPort("192.0.2.7:6000"), agent4, began, 1, 1)
	empty.Open(0)
	packets := capturetest.Merge(asking, empty)
	for n := range 30 {
		packets = append(packets, bulk(netip.AddrPortFrom(client4.Addr(), uint16(1000+n)), 300)...)
	}
	file := capturetest.File{Pcap: true}.Write(packets)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	c, err := capture.Read(t.Context(), bytes.NewReader(file), "x", capture.Options{Wanted: asks})
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if len(c.Conns) != 2 || c.Foreign != 30 {
		t.Errorf("%d connections, %d foreign", len(c.Conns), c.Foreign)
	}
	if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); held > 8<<20 {
		t.Errorf("%d bytes are held", held)
	}
	runtime.KeepAlive(c)
}

// TestManyConnections: a scan of ports, with more connections than are kept, does not keep the one
// that is wanted from being found.
func TestManyConnections(t *testing.T) {
	file := capturetest.File{Pcap: true}.Write(talk(client4, agent4, 1, 1).Packets())
	const header, record = 24, 16
	syn := file[header : header+record+int(file[header+8])]
	ports := record + 20 // behind the header of the record and that of IP
	var scan bytes.Buffer
	const kept = 2000
	scan.Write(file[:header])
	for n := range kept + 1000 {
		one := bytes.Clone(syn)
		one[ports], one[ports+1] = byte(n>>8), byte(n)     // from
		one[ports+2], one[ports+3] = byte(n>>16), byte(99) // to
		scan.Write(one)
	}
	asking := capturetest.NewTalk(client4, agent4, began, 1, 1)
	asking.Open(time.Minute)
	asking.Ask(time.Minute+time.Second, `{"step_id":1}`)
	scan.Write(capturetest.File{Pcap: true}.Write(asking.Packets())[header:])
	c, err := capture.Read(t.Context(), &scan, "x", capture.Options{Wanted: asks, Conns: kept})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Conns) != 1 || !c.Conns[0].Up.Started || c.Foreign != kept+1000 {
		t.Errorf("%d connections, %d foreign", len(c.Conns), c.Foreign)
	}
}

// TestInterrupt: reading ends when its context does, also while a pipe gives nothing.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endless := io.MultiReader(bytes.NewReader(capturetest.File{Pcap: true}.Write(bulk(client4, 9000))), readerFunc(func([]byte) (int, error) {
		t.Error("it reads on")
		return 0, io.EOF
	}))
	reports := 0
	_, err := capture.Read(ctx, endless, "x", capture.Options{Progress: func(packets int, read int64) {
		if reports++; packets == 0 || read == 0 {
			t.Errorf("%d packets, %d bytes", packets, read)
		}
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || reports != 1 {
		t.Errorf("%v after %d reports", err, reports)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestAnyOverlap: however packets overlap, and in whatever order they come, each byte is that of
// the packet which came first.
func TestAnyOverlap(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 64)
	var packets []capturetest.Packet
	for i := len(text) - 1; i >= 0; i-- { // each reaches far into those that came before
		packets = append(packets, capturetest.Packet{Time: began.Add(time.Duration(len(text)-i) * time.Millisecond), From: client4, To: agent4,
			ACK: true, Seq: uint32(1 + i), Payload: []byte(text[i:min(i+100, len(text))])})
	}
	up := read(t, capturetest.File{}.Write(packets)).Conns[0].Up
	if content(up) != text || len(up.Conflicts) > 0 || len(up.Missing) > 0 {
		t.Errorf("%q, %v, %v", content(up), up.Conflicts, up.Missing)
	}
	packets[500].Payload = bytes.ToUpper(packets[500].Payload)
	up = read(t, capturetest.File{}.Write(packets)).Conns[0].Up
	if len(up.Conflicts) == 0 || up.Conflicts[0].Packet != 501 && up.Conflicts[0].Earlier != 501 {
		t.Errorf("%v", up.Conflicts)
	}
}
