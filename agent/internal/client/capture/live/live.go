// Package live captures the packets of the connections that a client makes, while it makes them,
// and writes them to a pcapng file.
//
// socket_linux.go receives packets from the kernel, filter.go has the kernel select them,
// write.go writes those of the client's connections, and flow.go checks that none are missing.
package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// Linger bounds the time that Close waits for the packets that end the connections: the last FIN
// and its acknowledgement.
const Linger = 500 * time.Millisecond

// Options say what is captured and where it is written.
type Options struct {
	// Path is the new file; a file with content is refused.
	Path string
	// Agents are the addresses of each agent, any of which may be used, by the host and port that Dial gets.
	Agents map[string][]netip.AddrPort
	// Application names the capturing program, Comment describes the capture.
	Application, Comment string
}

// addresses returns the addresses of all agents as they are in packets, without repetitions.
func (o *Options) addresses() []netip.AddrPort {
	var all []netip.AddrPort
	for _, name := range slices.Sorted(maps.Keys(o.Agents)) {
		for _, a := range o.Agents[name] {
			if a = netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port()); !slices.Contains(all, a) {
				all = append(all, a)
			}
		}
	}
	return all
}

// A Recorder captures the packets of connections that are made with its Dial, from the first SYN
// to the last FIN. It listens on all interfaces, since policy routing, multipath routes and the
// agent's routes choose the interface of each packet. It holds one packet in memory; the kernel
// holds at most receiveBytes. Its methods are safe for concurrent use.
type Recorder struct {
	options Options
	agents  []netip.AddrPort // those of the options
	file    *outfile.File
	source  source
	reading sync.WaitGroup
	ended   chan struct{} // gets a token when a connection ends

	// mu guards all below.
	mu      sync.Mutex
	out     *pcapgo.NgWriter
	began   time.Time
	faces   map[int]int      // numbers of interfaces in the file, by those of the kernel
	ports   map[uint16]*flow // the last connection of each local port
	flows   []*flow          // all connections
	recent  recent
	held    *received // the last packet, which gets the closing comment
	failed  error     // the first error
	closing bool
}

// A source is where packets come from.
type source struct {
	filter string
	// read returns the next packet, and io.EOF after stop when there are no more.
	read func() (received, error)
	stop func()
	// stats returns how many packets were received and, of those, dropped. It resets the counts.
	stats func() (received, dropped uint64, err error)
	close func() error
}

// A received packet is one that passed on an interface.
type received struct {
	// face is the kernel's number of the interface, and name its name.
	face int
	name string
	info gopacket.CaptureInfo
	data []byte
}

// linkType is that of all interfaces: the one of Linux for "any", with the interface, direction
// and sender of each packet. Readers that use libpcap accept only one type in a file.
const linkType = layers.LinkTypeLinuxSLL2

// Start begins to capture. The error is ErrNotPermitted when the program has no right to; then
// nothing was written.
func Start(options Options) (*Recorder, error) {
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

// ErrNotPermitted says that the process may not open packet sockets.
var ErrNotPermitted = errors.New("this program has no right to capture packets")

// begin writes the header of the file and starts to read the source.
func begin(options Options, s source) (*Recorder, error) {
	file, err := outfile.Create(options.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	l := &Recorder{
		options: options, agents: options.addresses(), file: file, source: s, began: time.Now(),
		faces: map[int]int{}, ports: map[uint16]*flow{}, ended: make(chan struct{}, 1),
	}
	l.out, err = pcapgo.NewNgWriterInterface(file, l.describe("any"), pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: options.Application, Comment: options.Comment,
	}})
	if err == nil {
		err = l.out.Flush() // finds a full disk before anything is sent
	}
	if err != nil {
		_ = file.Close() // it has no packets
		return nil, fmt.Errorf("cannot write the capture: %w", err)
	}
	l.reading.Go(l.readAll)
	return l, nil
}

// describe describes an interface for the file.
func (l *Recorder) describe(name string) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, Filter: l.source.filter, OS: runtime.GOOS, LinkType: linkType, SnapLength: snapBytes}
}

// snapBytes is the snapshot length: more than any packet has.
const snapBytes = 262144

// Dial connects to one of the addresses of an agent and captures the connection. It has the signature of
// net.Dialer's; the address is not looked up again.
func (l *Recorder) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	agents := l.options.Agents[address]
	if len(agents) == 0 {
		return nil, fmt.Errorf("%s had no address when the capture began", address)
	}
	var errs []error
	for i, agent := range agents {
		var attempt *flow
		dialer := net.Dialer{ControlContext: func(_ context.Context, network, _ string, c syscall.RawConn) error {
			port, err := bindLocal(network, c)
			attempt = l.addFlow(port)
			return err
		}}
		conn, err := dialShare(ctx, &dialer, network, agent, len(agents)-i)
		if err == nil {
			return l.connected(attempt, conn), nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// dialShare dials with its share of the remaining time.
func dialShare(ctx context.Context, dialer *net.Dialer, network string, to netip.AddrPort, shares int) (net.Conn, error) {
	if deadline, ok := ctx.Deadline(); ok && shares > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(shares))
		defer cancel()
	}
	return dialer.DialContext(ctx, network, to.String())
}

// addFlow adds the connection of a local port to those that are captured.
func (l *Recorder) addFlow(port uint16) *flow {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := &flow{}
	l.ports[port], l.flows = f, append(l.flows, f)
	return f
}

// connected notes that a connection was made, and counts what it receives.
func (l *Recorder) connected(f *flow, conn net.Conn) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.conn = &countedConn{Conn: conn}
	return f.conn
}

// Close ends the capture when the connections have ended, or after Linger. The comment, on the
// last packet, tells the result of the run: the file is written in one pass. The error is the
// first of the whole capture, or names what the capture lacks.
func (l *Recorder) Close(comment string) error {
	l.linger()
	l.mu.Lock()
	l.closing = true
	l.mu.Unlock()
	l.source.stop()
	l.reading.Wait()
	counts := pcapgo.NgInterfaceStatistics{StartTime: l.began, PacketsReceived: pcapgo.NgNoValue64, PacketsDropped: pcapgo.NgNoValue64}
	received, dropped, err := l.source.stats()
	if err == nil {
		counts.PacketsReceived, counts.PacketsDropped = received, dropped
	}
	_ = l.source.close() // everything was read
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writeHeld(nil, comment)
	counts.LastUpdate = time.Now()
	counts.EndTime = counts.LastUpdate
	l.try(func() error { return l.out.WriteInterfaceStats(0, counts) })
	l.try(l.out.Flush)
	if err := l.file.Close(); l.failed == nil && err != nil {
		l.failed = fmt.Errorf("the capture is not whole: %w", err)
	}
	l.try(func() error { return l.incomplete(dropped) })
	return l.failed
}

// try runs f unless something failed before, and keeps its error. The caller holds mu.
func (l *Recorder) try(f func() error) {
	if l.failed == nil {
		l.failed = f()
	}
}

// incomplete returns an error that names what the capture lacks, nil for nothing.
func (l *Recorder) incomplete(dropped uint64) error {
	made, lacking := 0, map[string]int{}
	for _, f := range l.flows {
		if f.conn != nil {
			made++
			lacking[f.lack()]++
		}
	}
	var what []string
	for _, lack := range []string{lacksAll, lacksAgent, lacksClient, lacksBytes} {
		if n := lacking[lack]; n > 0 {
			what = append(what, fmt.Sprintf(lack, n, made))
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
