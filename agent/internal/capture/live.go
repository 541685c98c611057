package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/stepagent/stepagent/agent/internal/outfile"
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
// to the last FIN, and writes them to a pcapng file as they go by. It holds one packet in
// memory; what the kernel holds for it is bounded by net.core.rmem_default. Its methods are
// safe for concurrent use.
type Live struct {
	options LiveOptions
	file    *outfile.File
	sources []source
	reading sync.WaitGroup

	mu      sync.Mutex
	out     *pcapgo.NgWriter
	began   time.Time
	ports   map[uint16]*ending // of the connections that were made here
	held    *heldPacket        // the last packet, which gets the closing comment
	failed  error
	closing bool
	ended   chan struct{} // gets a token when a connection has ended
}

// A source is one network interface that is listened to.
type source struct {
	name   string
	link   layers.LinkType
	filter string
	read   func() ([]byte, gopacket.CaptureInfo, error)
	// stats returns how many packets were received and, of those, dropped. It is asked once.
	stats func() (received, dropped uint64, err error)
	close func() error
}

// Start begins to capture. When the error is ErrNotPermitted, this program may not; nothing
// has been written then.
func Start(options LiveOptions) (*Live, error) {
	sources, err := openSources(options)
	if err != nil {
		return nil, err
	}
	l, err := begin(options, sources)
	if err != nil {
		for _, s := range sources {
			_ = s.close() // nothing was read from it
		}
		return nil, err
	}
	return l, nil
}

// ErrNotPermitted is the error of Start when the right to capture packets is missing.
var ErrNotPermitted = errors.New("this program has no right to capture packets")

// begin writes the head of the file and reads the sources.
func begin(options LiveOptions, sources []source) (*Live, error) {
	file, err := outfile.Create(options.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	l := &Live{options: options, file: file, sources: sources, began: time.Now(), ports: map[uint16]*ending{}, ended: make(chan struct{}, 1)}
	for i, s := range sources {
		face := pcapgo.NgInterface{Name: s.name, Filter: s.filter, OS: runtime.GOOS, LinkType: s.link, SnapLength: snapBytes}
		if i > 0 {
			_, err = l.out.AddInterface(face)
		} else {
			l.out, err = pcapgo.NewNgWriterInterface(file, face, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
				Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: options.Application, Comment: options.Comment,
			}})
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = l.out.Flush() // so that a full disk is known before anything is sent
	}
	if err != nil {
		_ = file.Close() // it holds nothing of use
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	for i, s := range sources {
		l.reading.Go(func() { l.readAll(i, s) })
	}
	return l, nil
}

// snapBytes is how much of a packet is captured: more than any has.
const snapBytes = 262144

// Dial makes a connection to one of the agent's addresses, whose packets are captured. It
// takes the place of a net.Dialer's; the address is not looked up again.
func (l *Live) Dial(ctx context.Context, network, _ string) (net.Conn, error) {
	dialer := net.Dialer{ControlContext: func(_ context.Context, network, _ string, c rawConn) error {
		return l.claim(network, c)
	}}
	var errs []error
	for i, agent := range l.options.Agents {
		conn, err := dialPart(ctx, &dialer, network, netip.AddrPortFrom(agent, l.options.Port), len(l.options.Agents)-i)
		if err == nil {
			return conn, nil
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
func (l *Live) own(port uint16) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports[port] = &ending{}
}

// Close ends the capture when the connections have ended, or Linger after it is called. The
// comment, which says what came of it all, goes to the last packet: a file is written from
// its head to its end, and what is known at the end alone stands there. The error is the
// first of the whole capture.
func (l *Live) Close(comment string) error {
	l.linger()
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	counts := make([]pcapgo.NgInterfaceStatistics, len(l.sources))
	for i, s := range l.sources {
		counts[i] = pcapgo.NgInterfaceStatistics{PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: pcapgo.NgNoValue64}
		if received, dropped, err := s.stats(); err == nil {
			counts[i].PacketsReceived, counts[i].PacketsDropped = received, dropped
		}
		_ = s.close() // everything has been read
	}
	l.reading.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write(nil, comment)
	for i, c := range counts {
		c.StartTime, c.LastUpdate = l.began, time.Now()
		c.EndTime = c.LastUpdate
		if l.failed == nil {
			l.failed = l.out.WriteInterfaceStats(i, c)
		}
	}
	return l.finish()
}

// finish makes the file durable.
func (l *Live) finish() error {
	if l.failed == nil {
		l.failed = l.out.Flush()
	}
	if err := l.file.Close(); l.failed == nil && err != nil {
		l.failed = fmt.Errorf("the capture is not whole: %w", err)
	}
	return l.failed
}
