package server_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An authority certifies an agent and its clients.
type authority struct {
	*certtest.CA
	t         testing.TB
	cert, key string // files of the agent
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{CA: certtest.New(t), t: t}
	a.cert, a.key = a.Issue(t, certtest.Template{CN: "agent", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}})
	return a
}

// set returns the agent's certificates; with mutual its clients need one too.
func (a *authority) set(mutual bool, change ...func(*certificate.Source)) *certificate.Set {
	a.t.Helper()
	source := certificate.Source{Certificate: a.cert, Key: a.key, MinVersion: tls.VersionTLS13, Identity: []string{"uri", "dns", "cn"}}
	if mutual {
		source.ClientCA = a.File
	}
	for _, c := range change {
		c(&source)
	}
	set, err := certificate.Load(source)
	if err != nil {
		a.t.Fatal(err)
	}
	return set
}

// client returns the config of a client without a certificate.
func (a *authority) client() *tls.Config {
	a.t.Helper()
	config, err := certificate.LoadClient(certificate.ClientSource{CA: a.File, ServerName: "localhost"})
	if err != nil {
		a.t.Fatal(err)
	}
	return config
}

// clientAs returns the config of a client with a certificate.
func (a *authority) clientAs(template certtest.Template) *tls.Config {
	a.t.Helper()
	config := a.client()
	certFile, keyFile := a.Issue(a.t, template)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		a.t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config
}

// options returns the defaults with the agent's certificates.
func (a *authority) options(mutual bool) server.Options {
	a.t.Helper()
	o := defaults()
	o.Certificates = a.set(mutual)
	return o
}

// startTLS starts a server on a loopback port. Its dial speaks TLS, without a certificate.
func (a *authority) startTLS(t *testing.T, mode server.Mode, o server.Options, to io.Writer, more ...judge.Member) *harness {
	t.Helper()
	return a.startTLSOn(t, listen(t), mode, o, to, more...)
}

func (a *authority) startTLSOn(t *testing.T, listener net.Listener, mode server.Mode, o server.Options, to io.Writer, more ...judge.Member) *harness {
	t.Helper()
	loops := newLoops(t, 2)
	h := startMode(t, loops, listener, mode, o, slog.New(slog.NewTextHandler(to, nil)), judge.New(chain(t, more...)))
	h.client = a.client()
	return h
}

// plain connects without TLS.
func (h *harness) plain(t *testing.T) *peer {
	t.Helper()
	plain := *h
	plain.client = nil
	return plain.dial(t)
}

// as connects with the config of a client.
func (h *harness) as(t *testing.T, config *tls.Config) *peer {
	t.Helper()
	other := *h
	other.client = config
	return other.dial(t)
}

// step performs the first step of a procedure.
func (p *peer) step() {
	p.t.Helper()
	p.send(`{"step_id":1}`)
	p.expect(`{"step_id":1,"error_code":0}`)
}

// TestTLS: versions and ALPN that a client can have, and what the agent counts.
func TestTLS(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.TLS, a.options(false), io.Discard)
	p := h.dial(t)
	state := p.Conn.(*tls.Conn).ConnectionState()
	if state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "stepagent/1" {
		t.Errorf("version %x, protocol %q", state.Version, state.NegotiatedProtocol)
	}
	p.step()
	p.send(`{"step_id":2}`)
	p.expect(`{"step_id":2,"error_code":0}`)
	if n := h.Stats(); n.TLS != 1 || n.TLSLimit != 2048 || n.Open != 1 || n.TLSRefused != 0 || n.Handshakes[server.HandshakeOK] != 1 {
		t.Errorf("%+v", n)
	}
	none := a.client()
	none.NextProtos = nil
	h.as(t, none).step()

	other := a.client()
	other.NextProtos = []string{"h2"}
	old := a.client()
	old.MaxVersion = tls.VersionTLS12
	for config, want := range map[*tls.Config]string{other: "no application protocol", old: "protocol version not supported"} {
		if _, err := tls.Dial("tcp", h.addr, config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	waitFor(t, "the failures to be counted", func() bool {
		n := h.Stats()
		return n.TLSRefused == 2 && n.Handshakes[server.HandshakeFailed] == 2
	})
	_ = p.Close()
	waitFor(t, "the connections to end", func() bool { n := h.Stats(); return n.TLS == 1 && n.Open == 1 })
}

// TestTLS12: an old client gets in where the config has it so.
func TestTLS12(t *testing.T) {
	a := newAuthority(t)
	o := defaults()
	o.Certificates = a.set(false, func(s *certificate.Source) { s.MinVersion = tls.VersionTLS12 })
	h := a.startTLS(t, server.TLS, o, io.Discard)
	h.client.MaxVersion = tls.VersionTLS12
	p := h.dial(t)
	p.step()
	p.closeWrite()
	p.expectClosed()
}

// TestEither: one listener serves clients with TLS and without, and parks those without.
func TestEither(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.Either, a.options(false), io.Discard)
	secure, plain, spaced := h.dial(t), h.plain(t), h.plain(t)
	secure.step()
	plain.step()
	spaced.send("\n")
	spaced.step()
	h.park(t, 2)
	plain.send(`{"step_id":2}`)
	plain.expect(`{"step_id":2,"error_code":0}`)
	secure.send(`{"step_id":2}`)
	secure.expect(`{"step_id":2,"error_code":0}`)
	if n := h.Stats(); n.TLS != 1 || n.Open != 3 {
		t.Errorf("%+v", n)
	}
	plain.send(string([]byte{0x16, 3, 1, 2, 0, 1})) // TLS in the middle of a plain connection
	plain.expect(`"bad_message"`)
	plain.expectClosed()
}

// TestEitherWaits: a connection without a first byte is an idle one.
func TestEitherWaits(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.IdleTimeout = 50 * time.Millisecond
	var log lockedBuffer
	h := a.startTLS(t, server.Either, o, &log)
	h.plain(t).expectClosed()
	if n := h.Stats(); n.TLSRefused != 0 || !strings.Contains(log.String(), "idle connection closed") {
		t.Errorf("%+v\n%s", n, log.String())
	}
}

// TestPlainAtTLS: a client that does not speak TLS is told so at its first byte.
func TestPlainAtTLS(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.TLS, a.options(false), io.Discard)
	for _, text := range []string{`{`, `{"step_id":1}`, "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 100_000)} {
		p := h.plain(t)
		p.send(text)
		p.expect(`"bad_message"`, "this port speaks TLS")
		p.expectClosed()
	}
	if n := h.Stats(); n.RefusedByReason[protocol.BadMessage] != 4 || n.TLSRefused != 0 {
		t.Errorf("%+v", n)
	}
}

// TestTLSAtPlain: TLS at a listener without it is a bad message.
func TestTLSAtPlain(t *testing.T) {
	a := newAuthority(t)
	h := start(t, defaults())
	if _, err := tls.Dial("tcp", h.addr, a.client()); err == nil || !strings.Contains(err.Error(), "does not look like a TLS handshake") {
		t.Errorf("got %v", err)
	}
	if n := h.Stats(); n.RefusedByReason[protocol.BadMessage] != 1 {
		t.Errorf("%+v", n)
	}
}

// TestVectorsOverTLS plays the vector files over TLS: whole, and each byte as a record.
func TestVectorsOverTLS(t *testing.T) {
	a := newAuthority(t)
	for _, v := range load(t) {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			play(t, a.startTLS(t, server.TLS, a.options(false), io.Discard), v, []string{string(v.Bytes)})
			if len(v.Bytes) > 400 {
				return
			}
			var bytewise []string
			for i := range v.Bytes {
				bytewise = append(bytewise, string(v.Bytes[i:i+1]))
			}
			play(t, a.startTLS(t, server.Either, a.options(false), io.Discard), v, bytewise)
		})
	}
}

// TestManyMessagesOverTLS: a client that sends far ahead, in records that end within messages, gets
// each reply, in order.
func TestManyMessagesOverTLS(t *testing.T) {
	a := newAuthority(t)
	p := a.startTLS(t, server.TLS, a.options(false), io.Discard).dial(t)
	const ahead, record = 1000, 777
	var all strings.Builder
	for i := range ahead {
		fmt.Fprintf(&all, `{"step_id":%d,"req":%d,"data":{"x":%q}}`, i%10+1, i, strings.Repeat("x", i%200))
	}
	go func() {
		for text := all.String(); text != ""; {
			n := min(record, len(text))
			if _, err := io.WriteString(p, text[:n]); err != nil {
				return
			}
			text = text[n:]
		}
	}()
	for i := range ahead {
		want := fmt.Sprintf(`{"step_id":%d,"error_code":0,"req":%d`, i%10+1, i)
		if got := p.receive(); !strings.HasPrefix(got, want) {
			t.Fatalf("reply %d is %s, want %s", i, got, want)
		}
	}
}

// A bytewise is a connection that writes each byte by itself.
type bytewise struct{ net.Conn }

func (b bytewise) Write(all []byte) (int, error) {
	for i := range all {
		if _, err := b.Conn.Write(all[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(all), nil
}

// TestHelloByteByByte: a handshake that comes in as many segments as it has bytes succeeds.
func TestHelloByteByByte(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.Either, a.options(false), io.Discard)
	p := newPeer(t, tls.Client(bytewise{h.plain(t).Conn}, a.client()))
	p.step()
	if n := h.Stats(); n.Handshakes[server.HandshakeOK] != 1 || n.TLSRefused != 0 {
		t.Errorf("%+v", n)
	}
}

// TestClientEndsTLS: however a client ends its connection, it is no failure.
func TestClientEndsTLS(t *testing.T) {
	a := newAuthority(t)
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, a.options(false), &log)
	for name, end := range map[string]func(p *peer){
		"half, then reads": func(p *peer) { p.closeWrite(); p.expectClosed() },
		"with an alert":    func(p *peer) { _ = p.Close() },
		"its socket alone": func(p *peer) { _ = p.Conn.(*tls.Conn).NetConn().Close() },
		"by a reset": func(p *peer) {
			socket := p.Conn.(*tls.Conn).NetConn().(*net.TCPConn)
			_ = socket.SetLinger(0)
			_ = socket.Close()
		},
		"in a message": func(p *peer) { p.send(`{"step`); _ = p.Close() },
	} {
		end(h.dial(t)) // with the session tickets unread
		p := h.dial(t)
		p.step()
		end(p)
		waitFor(t, "the end: "+name, func() bool { n := h.Stats(); return n.Open == 0 && n.TLS == 0 })
	}
	_ = h.plain(t).Close() // before a handshake
	waitFor(t, "the end", func() bool { return h.Stats().Open == 0 })
	if n := h.Stats(); n.TLSRefused != 0 || n.RefusedMessages != 0 || strings.Contains(log.String(), "level=WARN") {
		t.Errorf("%+v\n%s", n, log.String())
	}
}

// TestGoClientOverTLS: the client in Go performs a procedure over TLS, also with a connection for
// each step.
func TestGoClientOverTLS(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.TLS, a.options(true), io.Discard)
	dialer := tls.Dialer{Config: a.clientAs(certtest.Template{CN: "bench"})}
	for _, plain := range []bool{false, true} {
		c, err := client.Dial(t.Context(), h.addr, client.Options{Dial: dialer.DialContext, Plain: plain})
		if err != nil {
			t.Fatal(err)
		}
		for step := int64(1); step <= 10; step++ {
			reply, err := c.Do(t.Context(), protocol.Request{StepID: step, Timeout: protocol.Seconds(patience)})
			if err != nil || reply.ErrorCode != 0 || reply.End != (step == 10) {
				t.Fatalf("plain %v: step %d got %+v, %v", plain, step, reply, err)
			}
		}
		_ = c.Close()
	}
	if n := h.sessions.Stats(); n.Completed != 2 || n.Failed != 0 {
		t.Errorf("%+v", n)
	}
}

// TestTLSOnUnixSocket: TLS works on a unix socket, and the log names its clients by user and process.
func TestTLSOnUnixSocket(t *testing.T) {
	a := newAuthority(t)
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	h := a.startTLSOn(t, listener, server.Either, a.options(false), &log)
	dial := func() net.Conn {
		conn, err := net.Dial("unix", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	newPeer(t, tls.Client(dial(), a.client())).step()
	p := newPeer(t, dial())
	p.step()
	p.send("x")
	p.expect(`"bad_message"`)
	if want := fmt.Sprintf("client=\"unix:uid=%d,pid=%d\"", os.Getuid(), os.Getpid()); !strings.Contains(log.String(), want) {
		t.Errorf("no %s in:\n%s", want, log.String())
	}
}

// TestProbeOfTLS: probes need no handshake and no certificate.
func TestProbeOfTLS(t *testing.T) {
	a := newAuthority(t)
	h := a.startTLS(t, server.TLS, a.options(true), io.Discard)
	if err := probe(t, h.Server, patience); err != nil {
		t.Fatal(err)
	}
	probeVerdict(t, h.Server)
}
