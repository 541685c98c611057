package process

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	goplugrunner "github.com/hashicorp/go-plugin/runner"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/plugins/sdk"
)

const (
	// maxHandshakeBytes is the longest handshake line that is read.
	maxHandshakeBytes = 4096
	// handshakeFields is how many fields of the handshake the contract has. go-plugin takes a sixth
	// for a certificate and panics on it where TLS is off.
	handshakeFields = 5
)

// A handshake is the sink of a plugin's stdout. It passes the first line to go-plugin and the rest to
// the log: go-plugin itself would stop reading for good at a line of 64 KiB.
type handshake struct {
	rest   *lineLog
	reader *io.PipeReader
	writer *io.PipeWriter
	done   bool // the line is passed on; belongs to the goroutine that reads stdout

	mu   sync.Mutex // guards line
	line []byte
}

func newHandshake(rest *lineLog) *handshake {
	h := &handshake{rest: rest}
	h.reader, h.writer = io.Pipe()
	return h
}

func (h *handshake) write(b []byte) (flooded bool) {
	if h.done {
		return h.rest.write(b)
	}
	line, rest, complete := bytes.Cut(b, []byte{'\n'})
	h.mu.Lock()
	h.line = append(h.line, line[:min(len(line), maxHandshakeBytes-len(h.line))]...)
	h.mu.Unlock()
	if !complete {
		return false
	}
	h.pass()
	return h.rest.write(rest)
}

func (h *handshake) end() {
	if !h.done {
		h.pass()
	}
	h.rest.end()
}

// pass gives go-plugin the line, complete or not. go-plugin reads to the end or closes its side, so
// the write does not block for long, and its error means that the line is not wanted any more.
func (h *handshake) pass() {
	h.done = true
	if len(h.line) > 0 {
		fields := bytes.SplitN(h.line, []byte{'|'}, handshakeFields+1)
		line := bytes.Join(fields[:min(len(fields), handshakeFields)], []byte{'|'})
		_, _ = h.writer.Write(append(line, '\n'))
	}
	_ = h.writer.Close()
}

// text returns the part of the line that has been read.
func (h *handshake) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.TrimSpace(logging.Clean(string(h.line)))
}

// checkHandshake says what is wrong with a handshake line; nil when nothing is.
func checkHandshake(path, line string) error {
	part := strings.Split(line, "|")
	if _, err := strconv.Atoi(part[0]); err != nil || len(part) < 4 {
		return fmt.Errorf("%s printed \"%.100s\" where the handshake must stand; "+
			"a plugin prints nothing else to stdout before it", path, line)
	}
	if part[1] != strconv.Itoa(sdk.ProtocolVersion) {
		return fmt.Errorf("%s speaks version %.20s of the plugin contract, this agent speaks version %d; "+
			"build the plugin with the sdk of this agent's version", path, part[1], sdk.ProtocolVersion)
	}
	if len(part) < 5 || part[4] != "grpc" {
		return fmt.Errorf("%s does not speak gRPC, but %.20q; the fifth field of the handshake must be grpc",
			path, strings.Join(part[4:min(len(part), 5)], ""))
	}
	if part[2] != "unix" {
		return fmt.Errorf("%s listens on %.20s %.100s; it must listen on a unix socket in PLUGIN_UNIX_SOCKET_DIR",
			path, part[2], part[3])
	}
	if len(part) > handshakeFields && part[handshakeFields] != "" {
		return fmt.Errorf("%s wants TLS, as its handshake has a certificate; the plugin contract has none: "+
			"nothing may follow the fifth field", path)
	}
	return nil
}

// A runner gives go-plugin access to a process. Its Stdout ends after one line and its Stderr is
// empty: go-plugin would parse what plugins print, and panics on some lines.
type runner struct{ p *Process }

var _ goplugrunner.Runner = runner{}

func (r runner) Start(context.Context) error {
	started := make(chan error)
	go r.p.run(started)
	err := <-started
	if err != nil {
		_ = r.p.stdout.reader.Close() // there will be no line
	}
	return err
}

func (r runner) Wait(context.Context) error {
	<-r.p.exited
	return nil
}

func (r runner) Kill(context.Context) error {
	r.p.Kill()
	return nil
}

func (r runner) Stdout() io.ReadCloser           { return r.p.stdout.reader }
func (r runner) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (r runner) Name() string                    { return r.p.config.Path }
func (r runner) ID() string                      { return strconv.Itoa(r.p.PID()) }
func (r runner) Diagnose(context.Context) string { return "" }

func (r runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil // both are on one machine
}

func (r runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
