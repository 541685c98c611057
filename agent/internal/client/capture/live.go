package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// Linger is how long Close waits at most for the packets that end the connections: the last
// FIN and what acknowledges it.
const Linger = 500 * time.Millisecond

// LiveOptions say what is captured, and where it is written.
type LiveOptions struct {
	// Path is the new file. One that holds something is refused.
	Path string
	// Agents are the agent's addresses, any of which may be the one that is used; Port is its
	// port.
	Agents []netip.Addr
	Port   uint16
	// Application names the program that captures, and Comment says what it captures.
	Application, Comment string
}

// A Live captures the packets of connections that are made with its Dial, from the first SYN
// to the last FIN, and writes them to a pcapng file as they go by. It listens on all
// interfaces: which of them a packet takes is decided packet by packet, by policy routing,
// multipath routes and the agent's own routes. It holds one packet in memory; what the kernel
// holds for it is bounded by receiveBytes. Its methods are safe for concurrent use.
type Live struct {
	options LiveOptions
	file    *outfile.File
	source  source
	reading sync.WaitGroup

	mu      sync.Mutex
	out     *pcapgo.NgWriter
	began   time.Time
	faces   map[int]int          // numbers of interfaces in the file, by the kernel's
	ports   map[uint16]*liveFlow // of the connections that were made here, the last of each port
	flows   []*liveFlow          // all of them
	recent  recent
	held    *heldPacket // the last packet, which gets the closing comment
	failed  error
	closing bool
	ended   chan struct{} // gets a token when a connection has ended
}

// A source is where packets come from.
type source struct {
	filter string
	// read returns the next packet, and io.EOF after stop when all have been returned.
	read func() (livePacket, error)
	stop func()
	// stats returns how many packets were received and, of those, dropped. It is asked once.
	stats func() (received, dropped uint64, err error)
	close func() error
}

// An livePacket is a packet as it goes by on one interface.
type livePacket struct {
	// face is the kernel's number of the interface, and name its name.
	face int
	name string
	info gopacket.CaptureInfo
	data []byte
}

// liveLink is the link type of all interfaces: that of Linux for "any", which has the
// interface, the direction and the sender's address of each packet. Readers that use libpcap
// take only one type in a file.
const liveLink = layers.LinkTypeLinuxSLL2

// Start begins to capture. When the error is ErrNotPermitted, this program may not; nothing
// has been written then.
func Start(options LiveOptions) (*Live, error) {
	s, err := openSource(options)
	if err != nil {
		return nil, err
	}
	l, err := begin(options, s)
	if err != nil {
		_ = s.close() // nothing was read from it
		return nil, err
	}
	return l, nil
}

// ErrNotPermitted is the error of Start when the right to capture packets is missing.
var ErrNotPermitted = errors.New("this program has no right to capture packets")

// begin writes the head of the file and reads the source.
func begin(options LiveOptions, s source) (*Live, error) {
	file, err := outfile.Create(options.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	l := &Live{
		options: options, file: file, source: s, began: time.Now(),
		faces: map[int]int{}, ports: map[uint16]*liveFlow{}, ended: make(chan struct{}, 1),
	}
	l.out, err = pcapgo.NewNgWriterInterface(file, l.face("any"), pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: options.Application, Comment: options.Comment,
	}})
	if err == nil {
		err = l.out.Flush() // so that a full disk is known before anything is sent
	}
	if err != nil {
		_ = file.Close() // it holds nothing of use
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	l.reading.Go(l.readAll)
	return l, nil
}

// face describes an interface for the file.
func (l *Live) face(name string) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, Filter: l.source.filter, OS: runtime.GOOS, LinkType: liveLink, SnapLength: snapBytes}
}

// snapBytes is how much of a packet is captured: more than any has.
const snapBytes = 262144

// Dial makes a connection to one of the agent's addresses, whose packets are captured. It
// takes the place of a net.Dialer's; the address is not looked up again.
func (l *Live) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	var errs []error
	for i, agent := range l.options.Agents {
		var own *liveFlow // of this attempt
		dialer := net.Dialer{ControlContext: func(_ context.Context, network, _ string, c rawConn) error {
			port, err := claim(network, c)
			own = l.own(port)
			return err
		}}
		conn, err := dialPart(ctx, &dialer, network, netip.AddrPortFrom(agent, l.options.Port), len(l.options.Agents)-i)
		if err == nil {
			return l.count(own, conn), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// dialPart dials with its share of the time that is left.
func dialPart(ctx context.Context, dialer *net.Dialer, network string, to netip.AddrPort, shares int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
		defer cancel()
	}
	return dialer.DialContext(ctx, network, to.String())
}

// own notes that a local port is that of a connection which is made here.
func (l *Live) own(port uint16) *liveFlow {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &liveFlow{}
	l.ports[port], l.flows = f, append(l.flows, f)
	return f
}

// count has the capture account for a connection that has come about.
func (l *Live) count(f *liveFlow, conn net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.conn = &countedConn{Conn: conn}
	return f.conn
}

// Close ends the capture when the connections have ended, or Linger after it is called. The
// comment, which says what came of it all, goes to the last packet: a file is written from
// its head to its end, and what is known at the end alone stands there. The error is the
// first of the whole capture, or says what of the connections is not in it.
func (l *Live) Close(comment string) error {
	l.linger()
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.source.stop()
	l.reading.Wait()
	counts := pcapgo.NgInterfaceStatistics{PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: pcapgo.NgNoValue64}
	received, dropped, err := l.source.stats()
	if err == nil {
		counts.PacketsReceived, counts.PacketsDropped = received, dropped
	}
	_ = l.source.close() // everything has been read
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(nil, comment)
	counts.StartTime, counts.LastUpdate = l.began, time.Now()
	counts.EndTime = counts.LastUpdate
	if l.failed == nil {
		l.failed = l.out.WriteInterfaceStats(0, counts)
	}
	l.finish()
	if l.failed == nil {
		l.failed = l.incomplete(dropped)
	}
	return l.failed
}

// finish makes the file durable.
func (l *Live) finish() {
	if l.failed == nil {
		l.failed = l.out.Flush()
	}
	if err := l.file.Close(); l.failed == nil && err != nil {
		l.failed = fmt.Errorf("the capture is not whole: %w", err)
	}
}

// incomplete returns an error that says what of the connections the capture lacks.
func (l *Live) incomplete(dropped uint64) error {
	made, lacking := 0, map[liveLack]int{}
	for _, f := range l.flows {
		if f.conn != nil {
			made++
		}
		lacking[f.lack()]++
	}
	var what []string
	for _, say := range []struct {
		lack liveLack
		text string
	}{
		{lacksAll, "it has no packet of %d of %d connections"},
		{lacksAgent, "it has no packet that the agent sent on %d of %d connections"},
		{lacksClient, "it has no packet that stepctl sent on %d of %d connections"},
		{lacksBytes, "bytes of %d of %d connections are not in it"},
	} {
		if n := lacking[say.lack]; n > 0 {
			what = append(what, fmt.Sprintf(say.text, n, made))
		}
	}
	if dropped > 0 {
		what = append(what, fmt.Sprintf("the kernel dropped %d packets, because they came faster than they could be written", dropped))
	}
	if what == nil {
		return nil
	}
	return fmt.Errorf("the capture %s is not whole: %s; run again, or capture with another tool where the packets pass, such as on the agent's machine",
		l.options.Path, strings.Join(what, ", and "))
}
