package pluginhost

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"sync"
)

// maxHandshakeBytes is the longest handshake line that is read.
const maxHandshakeBytes = 4096

// A handshake is the sink of a plugin's stdout. It gives the first line to go-plugin and the
// rest to the log: go-plugin itself would read on line by line, and stop for good at one of
// 64 KiB.
type handshake struct {
	rest   *lineLog
	reader *io.PipeReader
	writer *io.PipeWriter

	mu   sync.Mutex // for line; the rest belongs to the goroutine that reads stdout
	line []byte
	done bool
}

func newHandshake(rest *lineLog) *handshake {
	h := &handshake{rest: rest}
	h.reader, h.writer = io.Pipe()
	return h
}

func (h *handshake) take(b []byte) (flooded bool) {
	if h.done {
		return h.rest.take(b)
	}
	line, rest, whole := bytes.Cut(b, []byte{'\n'})
	h.mu.Lock()
	h.line = append(h.line, line[:min(len(line), maxHandshakeBytes-len(h.line))]...)
	h.mu.Unlock()
	if !whole {
		return false
	}
	h.handOver()
	return h.rest.take(rest)
}

func (h *handshake) end() {
	if !h.done {
		h.handOver()
	}
	h.rest.end()
}

// handshakeFields is how many fields of the handshake the contract has. go-plugin takes a sixth
// as a certificate and, where there is no TLS, goes down with it.
const handshakeFields = 5

// handOver gives go-plugin the line, whole or not. It reads until the end or has closed its
// side, so this never blocks for long and an error means that nobody wants to know.
func (h *handshake) handOver() {
	h.done = true
	if len(h.line) > 0 {
		fields := bytes.SplitN(h.line, []byte{'|'}, handshakeFields+1)
		line := bytes.Join(fields[:min(len(fields), handshakeFields)], []byte{'|'})
		_, _ = h.writer.Write(append(line, '\n'))
	}
	_ = h.writer.Close()
}

// text returns the line that came, as far as it came.
func (h *handshake) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.TrimSpace(printable(h.line))
}

// A runner lets go-plugin see a process. It is runner.Runner of that module. Its Stdout ends
// after one line and its Stderr is empty, so that go-plugin parses nothing of what plugins
// print: some lines would bring it down.
type runner struct {
	process *process
	stdout  *handshake
	path    string
}

// Start executes the program.
func (r *runner) Start(context.Context) error {
	err := r.process.start()
	if err != nil {
		_ = r.stdout.reader.Close() // nobody will write
	}
	return err
}

// Wait returns when the program has ended.
func (r *runner) Wait(context.Context) error {
	<-r.process.exited
	return nil
}

// Kill ends the process group.
func (r *runner) Kill(context.Context) error {
	r.process.kill()
	return nil
}

// Stdout returns the handshake line.
func (r *runner) Stdout() io.ReadCloser { return r.stdout.reader }

// Stderr returns nothing.
func (r *runner) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name returns the path of the program.
func (r *runner) Name() string { return r.path }

// ID returns the id of the process.
func (r *runner) ID() string { return strconv.Itoa(r.process.pid()) }

// Diagnose returns nothing: see diagnose.
func (r *runner) Diagnose(context.Context) string { return "" }

// PluginToHost and HostToPlugin translate nothing: both live on one machine.
func (r *runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin is the opposite of PluginToHost.
func (r *runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
