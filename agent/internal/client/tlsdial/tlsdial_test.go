package tlsdial_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/client/tlsdial"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
	"github.com/stepagent/stepagent/agent/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A bench has an agent's certificate and a CA.
type bench struct {
	*testing.T
	ca  *certtest.CA
	set *certificate.Set
}

// newBench returns one whose agent wants certificates of clients.
func newBench(t *testing.T) *bench {
	b := &bench{T: t, ca: certtest.New(t)}
	cert, key := b.ca.Issue(t, certtest.Template{CN: "bench-7", DNS: []string{"localhost"}, IPs: []string{"127.0.0.1"}})
	var err error
	b.set, err = certificate.Load(certificate.Source{Certificate: cert, Key: key, ClientCA: b.ca.File, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client returns the config of a client with a certificate for the template, from a CA.
func (b *bench) client(ca *certtest.CA, template certtest.Template) *tls.Config {
	b.Helper()
	cert, key := ca.Issue(b.T, template)
	return b.load(certificate.ClientSource{CA: b.ca.File, Certificate: cert, Key: key})
}

func (b *bench) load(source certificate.ClientSource) *tls.Config {
	b.Helper()
	config, err := certificate.LoadClient(source)
	if err != nil {
		b.Fatal(err)
	}
	return config
}

// serve serves each connection by handle until the test ends, and returns the address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			handle(conn)
			_ = conn.Close() // the client sees what matters
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return listener.Addr().String()
}

// echo answers one line over TLS.
func (b *bench) echo(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	secured := tls.Server(conn, b.set.ServerConfig())
	if line, err := bufio.NewReader(secured).ReadString('\n'); err == nil {
		_, _ = io.WriteString(secured, line)
		_ = secured.Close()
	}
}

// exchange sends a line and reads the answer.
func exchange(t *testing.T, dialer tlsdial.Dialer, address string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

// A connection is secured, and what was agreed is told before it is used. The host of the address is
// the name that the certificate must have.
func TestSecured(t *testing.T) {
	b := newBench(t)
	address := serve(t, b.echo)
	told := 0
	dialer := tlsdial.Dialer{Config: b.client(b.ca, certtest.Template{CN: "station-7"}), OnHandshake: func(state tls.ConnectionState) {
		told++
		if subject := state.PeerCertificates[0].Subject.CommonName; subject != "bench-7" || state.NegotiatedProtocol != certificate.Protocol {
			t.Errorf("a connection to %q with the protocol %q", subject, state.NegotiatedProtocol)
		}
	}}
	if answer, err := exchange(t, dialer, address); answer != "hello\n" || err != nil || told != 1 {
		t.Errorf("%q, error %v, told %d times", answer, err, told)
	}
	if own := tlsdial.Own(dialer.Config); own == nil || own.Subject.CommonName != "station-7" {
		t.Errorf("the client's certificate is %v", own)
	}
}

func TestPlain(t *testing.T) {
	address := serve(t, func(conn net.Conn) { _, _ = io.CopyN(conn, conn, int64(len("hello\n"))) })
	if answer, err := exchange(t, tlsdial.Dialer{}, address); answer != "hello\n" || err != nil {
		t.Errorf("%q, error %v", answer, err)
	}
}

// A refusal of either side is one sentence, whether the handshake or, as with TLS 1.3, the first read
// brings it.
func TestRefused(t *testing.T) {
	b := newBench(t)
	address := serve(t, b.echo)
	stranger := certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	wrongName := b.client(b.ca, certtest.Template{CN: "station-7"})
	wrongName.ServerName = "bench-8"
	for name, test := range map[string]struct {
		config *tls.Config
		want   []string
	}{
		"expired":      {b.client(b.ca, certtest.Template{CN: "station-7"}.Expired()), []string{"CN=station-7", "expired at", "replace it"}},
		"other CA":     {b.client(stranger, certtest.Template{CN: "station-7"}), []string{"CN=station-7", "issued by CN=Other CA"}},
		"none":         {b.load(certificate.ClientSource{CA: b.ca.File}), []string{address, "--cert and --key"}},
		"agent's CA":   {b.load(certificate.ClientSource{CA: stranger.File}), []string{"CN=bench-7", "--ca"}},
		"agent's name": {wrongName, []string{"CN=bench-7", "bench-8", "--server-name"}},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := test.config.Clone()
			config.MaxVersion = version
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				_, err := exchange(t, tlsdial.Dialer{Config: config}, address)
				refused, ok := errors.AsType[*tlsdial.RefusedError](err)
				if !ok || refused.Err == nil || refused.Error() != refused.Sentence {
					t.Fatalf("error %v", err)
				}
				for _, part := range test.want {
					if !strings.Contains(refused.Sentence, part) {
						t.Errorf("%q does not name %q", refused.Sentence, part)
					}
				}
			})
		}
	}
}

// A port without TLS says so. An agent that takes no connection at present refuses none for good.
func TestAnswersWithoutTLS(t *testing.T) {
	b := newBench(t)
	config := b.client(b.ca, certtest.Template{CN: "station-7"})
	for name, test := range map[string]struct {
		answer  string
		want    string
		refused bool
	}{
		"bad message": {`{"step_id":null,"error_code":1,"reason":"bad_message","detail":"no JSON"}` + "\n", "leave out --tls", true},
		"no reply":    {`{"step`, "leave out --tls", true},
		"overload":    {"\x15\x03\x03\x00\x02\x02\x50", "takes no further connection over TLS at present", false},
		"HTTP":        {"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS", true},
		"nothing":     {"", "TLS handshake with 127.0.0.1:", false},
	} {
		t.Run(name, func(t *testing.T) {
			address := serve(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, test.answer)
			})
			_, err := exchange(t, tlsdial.Dialer{Config: config}, address)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
			if _, refused := errors.AsType[*tlsdial.RefusedError](err); refused != test.refused {
				t.Errorf("refused is %t: %v", refused, err)
			}
		})
	}
}

// What breaks a connection that was in use is no refusal.
func TestBrokenLater(t *testing.T) {
	b := newBench(t)
	address := serve(t, func(conn net.Conn) {
		secured := tls.Server(conn, b.set.ServerConfig())
		if _, err := secured.Read(make([]byte, 10)); err == nil {
			_, _ = io.WriteString(secured, "hel")
			_, _ = io.WriteString(conn, strings.Repeat("\x17\x03\x03\x00\x20", 40)) // records that were not encrypted
		}
	})
	_, err := exchange(t, tlsdial.Dialer{Config: b.client(b.ca, certtest.Template{CN: "station-7"})}, address)
	if _, refused := errors.AsType[*tlsdial.RefusedError](err); err == nil || refused {
		t.Errorf("error %v", err)
	}
}

func TestDialFails(t *testing.T) {
	b := newBench(t)
	gone := errors.New("gone")
	dialer := tlsdial.Dialer{Config: b.load(certificate.ClientSource{}), Dial: func(context.Context, string, string) (net.Conn, error) { return nil, gone }}
	if _, err := exchange(t, dialer, "bench-7:1"); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
}

// A client without TLS learns from the reply that the port has it.
func TestPlainRefused(t *testing.T) {
	for name, test := range map[string]struct {
		reply protocol.Reply
		want  bool
	}{
		"speaks TLS":     {protocol.Reply{ErrorCode: 1, Reason: protocol.BadMessage, Detail: "this port speaks TLS; connect with TLS"}, true},
		"another detail": {protocol.Reply{ErrorCode: 1, Reason: protocol.BadMessage, Detail: "no JSON"}, false},
		"another reason": {protocol.Reply{ErrorCode: 1, Reason: protocol.RuleBroken, Detail: "this port speaks TLS"}, false},
		"a pass":         {protocol.Reply{}, false},
	} {
		if err := tlsdial.PlainRefused(&test.reply); (err != nil) != test.want {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
