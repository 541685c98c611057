package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/stepagent/stepagent/agent/internal/client/capture/packet"
)

// Options select the connections of a capture that are kept.
type Options struct {
	// Port keeps only connections to or from it; 0 for any.
	Port uint16
	// Wanted reports whether a payload, of one packet or of several in order, may belong to a
	// connection of interest. Other connections are only counted, unless they share an end with
	// one of interest. Nil keeps all.
	Wanted func(payload []byte) bool
	// Conns bounds the TCP connections that are kept; 0 for MaxConns.
	Conns int
	// Progress is called now and then with the packets and bytes of the file that were read; nil
	// for not.
	Progress func(packets int, bytes int64)
}

// A reader reads the frames of one file.
type reader struct {
	capture *Capture
	source  *counter
	next    func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error)
	links   map[layers.LinkType]bool
}

// counter counts the bytes that are read and keeps the error that ended them: a compressed file
// that is cut between two packets looks complete to the reader of packets.
type counter struct {
	from io.Reader
	n    int64
	err  error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// ReadFile reads the capture at path, or standard input for "-", see Read. It returns when ctx
// is done, even while opening or reading blocks, as with a pipe.
func ReadFile(ctx context.Context, path string, opts Options) (*Capture, error) {
	type result struct {
		c   *Capture
		err error
	}
	done := make(chan result, 1)
	go func() {
		c, err := readFile(ctx, path, opts)
		done <- result{c, err}
	}()
	select {
	case r := <-done:
		return r.c, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readFile(ctx context.Context, path string, opts Options) (*Capture, error) {
	if path == "-" {
		return Read(ctx, os.Stdin, "standard input", opts)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the capture: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return Read(ctx, file, path, opts)
}

// checkEvery is how many packets are read between two checks of the context.
const checkEvery = 4096

// Read reads a capture to its end. The error is a *FileError or that of ctx. When the file is cut
// or damaged, the packets before that are returned together with the error.
func Read(ctx context.Context, r io.Reader, name string, opts Options) (*Capture, error) {
	raw := &counter{from: r}
	in, err := open(raw, name)
	if err != nil {
		return nil, err
	}
	a := newAssembler(in.capture, opts)
	for n := 1; ; n++ {
		if n%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if opts.Progress != nil {
				opts.Progress(in.capture.Packets, raw.n)
			}
		}
		f, err := in.frame()
		switch {
		case err == nil:
			err = a.add(f)
		case errors.Is(err, io.EOF) && errors.Is(in.source.err, io.EOF):
			return in.capture, a.finish(ctx)
		case errors.Is(err, io.EOF):
			err = in.source.err
		}
		if err != nil {
			if stopped := a.finish(ctx); stopped != nil {
				return nil, stopped
			}
			return in.capture, in.fail(err)
		}
	}
}

// The magic numbers of files.
var (
	magicGzip   = []byte{0x1f, 0x8b}
	magicPcapNG = []byte{0x0a, 0x0d, 0x0d, 0x0a}
)

// open detects the format of the file.
func open(r io.Reader, name string) (*reader, error) {
	in := &reader{capture: &Capture{File: File{Name: name}}, links: map[layers.LinkType]bool{}}
	buffered := bufio.NewReader(r)
	if head, _ := buffered.Peek(len(magicGzip)); bytes.Equal(head, magicGzip) {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, in.fail(err)
		}
		in.capture.Gzip = true
		buffered = bufio.NewReader(unzipped)
	}
	head, err := buffered.Peek(len(magicPcapNG))
	switch {
	case errors.Is(err, io.EOF) && len(head) == 0:
		return nil, in.fail(errors.New("the file is empty"))
	case err != nil:
		return nil, in.fail(err)
	case bytes.Equal(head, magicGzip):
		return nil, in.fail(errors.New("compressed twice, uncompress it once"))
	}
	in.source = &counter{from: buffered}
	if bytes.Equal(head, magicPcapNG) {
		return in, in.openNG()
	}
	return in, in.openPcap(head)
}

func (in *reader) openPcap(head []byte) error {
	switch little := binary.LittleEndian.Uint32(head); little {
	case 0xa1b2c3d4, 0xd4c3b2a1, 0xa1b23c4d, 0x4d3cb2a1: // pcap-savefile(5)
	default:
		return in.fail(fmt.Errorf("neither pcap nor pcapng: it begins with the bytes % x", head))
	}
	in.capture.Format = "pcap"
	file, err := pcapgo.NewReader(in.source)
	if err != nil {
		return in.fail(err)
	}
	in.next = func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
		data, info, err := file.ZeroCopyReadPacketData()
		if errors.Is(err, io.EOF) && info.CaptureLength > 0 {
			err = io.ErrUnexpectedEOF // after its header
		}
		return data, info, file.LinkType(), err
	}
	return nil
}

func (in *reader) openNG() error {
	in.capture.Format = "pcapng"
	dropped := map[int]uint64{}
	var before, total uint64 // of the sections before, and of all so far
	file, err := pcapgo.NewNgReader(in.source, pcapgo.NgReaderOptions{
		WantMixedLinkType:  true,
		SkipUnknownVersion: true,
		StatisticsCallback: func(index int, s pcapgo.NgInterfaceStatistics) {
			in.addComment(s.Comment)
			if s.PacketsDropped != pcapgo.NgNoValue64 {
				dropped[index] = s.PacketsDropped // counts since the beginning
				total, in.capture.Dropped = before, &total
				for _, n := range dropped {
					total += n
				}
			}
		},
		SectionEndCallback: func([]pcapgo.NgInterface, pcapgo.NgSectionInfo) {
			before = total
			clear(dropped)
		},
	})
	if err != nil {
		return in.fail(err)
	}
	in.addSection(file.SectionInfo())
	section := file.SectionInfo()
	in.next = func() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
		data, info, options, err := file.ZeroCopyReadPacketDataWithOptions()
		if now := file.SectionInfo(); now != section {
			section = now
			in.addSection(now)
		}
		if err != nil {
			return nil, info, 0, err
		}
		for _, c := range options.Comments {
			in.addComment(c)
		}
		link, _ := info.AncillaryData[0].(layers.LinkType) // as WantMixedLinkType has it
		return data, info, link, nil
	}
	return nil
}

func (in *reader) addSection(info pcapgo.NgSectionInfo) {
	if in.capture.Application == "" {
		in.capture.Application = info.Application
	}
	in.addComment(info.Comment)
}

// maxComments bounds the comments that are kept.
const maxComments = 256

func (in *reader) addComment(text string) {
	if text != "" && len(in.capture.Comments) < maxComments {
		in.capture.Comments = append(in.capture.Comments, text)
	}
}

// maxYear is the last year that RFC 3339 can write.
const maxYear = 9999

// frame returns the next frame, io.EOF after the last. Its data is valid until the next call.
func (in *reader) frame() (packet.Frame, error) {
	data, info, link, err := in.next()
	if err != nil {
		return packet.Frame{}, err
	}
	if year := info.Timestamp.Year(); year < 1 || year > maxYear {
		return packet.Frame{}, fmt.Errorf("its time is in the year %d", year)
	}
	c := in.capture
	c.Packets++
	if !in.links[link] {
		in.links[link] = true
		c.Links = append(c.Links, packet.LinkName(link))
	}
	if c.First.IsZero() || info.Timestamp.Before(c.First) {
		c.First = info.Timestamp
	}
	if info.Timestamp.After(c.Last) {
		c.Last = info.Timestamp
	}
	return packet.Frame{Mark: Mark{Packet: c.Packets, Time: info.Timestamp}, Link: link, Data: data,
		Cut: max(info.Length-info.CaptureLength, 0), Interface: info.InterfaceIndex}, nil
}

// fail returns an error with its place in the file.
func (in *reader) fail(err error) error {
	e := &FileError{Name: in.capture.Name, Problem: err.Error()}
	if in.source != nil {
		e.Offset = in.source.n
	}
	if in.next != nil {
		e.Packet = in.capture.Packets + 1
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		e.Problem = "the file ends in the middle; it was cut, or is still being written"
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		e.Problem = "the compressed file is damaged: " + err.Error()
	}
	return e
}
