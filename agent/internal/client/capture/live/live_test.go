package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket"
	"golang.org/x/net/bpf"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// aSource hands out packets as interfaces do.
type aSource struct {
	packets chan received
	once    sync.Once
	dropped uint64
}

func newASource() *aSource { return &aSource{packets: make(chan received, 100)} }

func (s *aSource) source() source {
	stop := func() { s.once.Do(func() { close(s.packets) }) }
	return source{
		filter: "tcp", stop: stop, close: func() error { stop(); return nil },
		read: func() (received, error) {
			p, ok := <-s.packets
			if !ok {
				return received{}, io.EOF
			}
			return p, nil
		},
		stats: func() (uint64, uint64, error) { return 14, s.dropped, nil },
	}
}

// pass has a packet go by on an interface.
func (s *aSource) pass(p capturetest.Packet, face int) {
	data := capturetest.File{Link: capturetest.SLL2}.Frame(p)
	s.packets <- received{
		face: face, name: fmt.Sprintf("eth%d", face), data: data,
		info: gopacket.CaptureInfo{Timestamp: p.Time, CaptureLength: len(data), Length: len(data)},
	}
}

var (
	liveClient = netip.MustParseAddrPort("192.0.2.1:40000")
	liveAgent  = netip.MustParseAddrPort("192.0.2.2:8080")
)

func liveTalk() []capturetest.Packet {
	t := capturetest.NewTalk(liveClient, liveAgent, time.Unix(1, 0), 1, 1)
	t.Open(0)
	t.Ask(time.Millisecond, "one")
	t.Reply(2*time.Millisecond, "first")
	t.Close(3*time.Millisecond, liveClient)
	return t.Packets()
}

func startLive(t *testing.T, path string, s *aSource) *Recorder {
	t.Helper()
	l, err := begin(Options{Path: path, Agents: map[string][]netip.AddrPort{"bench:8080": {liveAgent}},
		Application: "stepctl test", Comment: "a run"}, s.source())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// made notes a connection that has come about, and that has received so much.
func made(l *Recorder, port uint16, received uint64) {
	l.connected(l.addFlow(port), nil).(*countedConn).received.Add(received)
}

// TestRecord: the packets of the connections that were made, and no others, from the first to
// the last, with what is to be said of them.
func TestRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.pcapng")
	s := newASource()
	l := startLive(t, path, s)
	made(l, 40000, uint64(len("first")))
	other := capturetest.NewTalk(netip.MustParseAddrPort("192.0.2.1:40001"), liveAgent, time.Unix(1, 0), 1, 1)
	other.Open(0)
	for _, p := range append(other.Packets(), liveTalk()...) {
		s.pass(p, 2)
	}
	if err := l.Close("verdict: pass"); err != nil {
		t.Fatal(err)
	}
	c, err := capture.ReadFile(t.Context(), path, capture.Options{Port: 0})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Conns) != 1 || c.Packets != 10 || c.Conns[0].Up.FIN.IsZero() || c.Conns[0].Down.FIN.IsZero() {
		t.Errorf("%+v", c)
	}
	if c.Application != "stepctl test" || strings.Join(c.Comments, ", ") != "a run, verdict: pass" || c.Dropped == nil || *c.Dropped != 0 {
		t.Errorf("application %q, comments %q, dropped %d", c.Application, c.Comments, c.Dropped)
	}
}

// TestLinger: Close waits for the packets that end a connection, but not for ever.
func TestLinger(t *testing.T) {
	packets := liveTalk()
	for _, last := range []int{len(packets), len(packets) - 1, 3} {
		synctest.Test(t, func(t *testing.T) {
			s := newASource()
			l := startLive(t, filepath.Join(t.TempDir(), "run.pcapng"), s)
			l.addFlow(40000)
			for _, p := range packets[:3] {
				s.pass(p, 2)
			}
			synctest.Wait()
			go func() {
				time.Sleep(100 * time.Millisecond)
				for _, p := range packets[3:last] {
					s.pass(p, 2)
				}
			}()
			began := time.Now()
			if err := l.Close(""); err != nil {
				t.Error(err)
			}
			want := Linger
			if last == len(packets) {
				want = 100 * time.Millisecond
			}
			if took := time.Since(began); took != want {
				t.Errorf("with %d packets, Close took %s, want %s", last, took, want)
			}
		})
	}
}

// TestNeverOverwrites: a file that holds something is refused, and a disk without room is
// told.
func TestNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run.pcapng")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := begin(Options{Path: path}, newASource().source())
	if err == nil || !strings.Contains(err.Error(), "run.pcapng holds something already") {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		return // there is none on this system
	}
	if _, err = begin(Options{Path: "/dev/full"}, newASource().source()); err == nil || !strings.HasPrefix(err.Error(), "cannot write the capture: ") {
		t.Error(err)
	}
}

// TestReadError: an interface that goes away is told at the end.
func TestReadError(t *testing.T) {
	s := newASource().source()
	gone := errors.New("network is down")
	s.read = func() (received, error) { return received{}, gone }
	l, err := begin(Options{Path: filepath.Join(t.TempDir(), "run.pcapng")}, s)
	if err != nil {
		t.Fatal(err)
	}
	l.reading.Wait()
	if err := l.Close(""); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// TestFilter: packets to and from the agent pass, and no others.
func TestFilter(t *testing.T) {
	vm := filterVM(t, liveAgent, netip.MustParseAddrPort("[2001:db8::2]:8080"), netip.MustParseAddrPort("192.0.2.4:8081"))
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"192.0.2.1:40000", "192.0.2.2:8080", true},
		{"192.0.2.2:8080", "192.0.2.1:40000", true},
		{"192.0.2.2:40000", "192.0.2.1:8080", false},
		{"192.0.2.1:8080", "192.0.2.2:40000", false},
		{"192.0.2.1:40000", "192.0.2.3:8080", false},
		{"192.0.2.1:40000", "192.0.2.4:8081", true},
		{"192.0.2.1:40000", "192.0.2.4:8080", false},
		{"192.0.2.1:40000", "192.0.2.2:8081", false},
		{"[2001:db8::1]:40000", "[2001:db8::2]:8080", true},
		{"[2001:db8::2]:8080", "[2001:db8::1]:40000", true},
		{"[2001:db8::1]:40000", "[2001:db8::3]:8080", false},
		{"[2001:db8::1]:40000", "[2001:db8::2]:8081", false},
	} {
		p := capturetest.Packet{From: netip.MustParseAddrPort(test.from), To: netip.MustParseAddrPort(test.to), Payload: []byte("x")}
		n, err := vm.Run(p.Bytes(false))
		if err != nil || n > 0 != test.want {
			t.Errorf("%s to %s: %d, %v", test.from, test.to, n, err)
		}
	}
	// What is cut off or something else is let go, and not read beyond its end.
	whole := liveTalk()[3].Bytes(false)
	for n := range len(whole) {
		if _, err := vm.Run(whole[:n]); err != nil {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	// UDP between the same ends is none of it.
	udp := bytes.Clone(whole)
	udp[9] = 17
	for _, data := range [][]byte{udp, bytes.Repeat([]byte{0x45}, 80), bytes.Repeat([]byte{0x65}, 80)} {
		if n, err := vm.Run(data); n > 0 || err != nil {
			t.Errorf("%x: %d, %v", data[:1], n, err)
		}
	}
}

// filterVM runs the filter as the kernel does, but for what only the kernel knows.
func filterVM(t *testing.T, agents ...netip.AddrPort) *bpf.VM {
	t.Helper()
	raw, err := filterFor(agents, false)
	if err != nil {
		t.Fatal(err)
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter cannot be taken apart")
	}
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	return vm
}
