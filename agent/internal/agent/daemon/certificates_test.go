package daemon_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// A secured is an agent with a plain listener, one with TLS and a unix socket.
type secured struct {
	*testing.T
	agent *daemon.Agent
	log   *lines
	ca    *certtest.CA
	// The agent's files, and a client's.
	cert, key, crl, clientCert, clientKey string
	file                                  string // the config
}

const station = "spiffe://bench.example/station/7"

func startSecured(t *testing.T, more string) *secured {
	t.Helper()
	s := &secured{T: t, log: &lines{}, ca: certtest.New(t)}
	s.cert, s.key = s.ca.Issue(t, certtest.Template{CN: "board", DNS: []string{"localhost"}})
	s.clientCert, s.clientKey = s.ca.Issue(t, certtest.Template{CN: "station", URIs: []string{station}})
	s.crl = s.ca.CRL(t)
	o, file := options(t, `port = 0
reload.settle = "10ms"
[tls]
certificate = "`+s.cert+`"
key = "`+s.key+`"
client_ca = "`+s.ca.File+`"
crl = "`+s.crl+`"
mode = "off"
[[listeners]]
address = "127.0.0.1:0"
[[listeners]]
address = "unix:`+filepath.Join(shortDir(t), "steps.sock")+`"
mode = "0600"
`+more)
	o.Log = slog.New(slog.NewTextHandler(s.log, nil))
	s.agent, s.file = start(t, o), file
	return s
}

// shortDir returns a folder whose name is short enough for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// address returns the address of the listener with that TLS.
func (s *secured) address(tlsMode string, network string) string {
	s.Helper()
	for _, l := range s.agent.Status().Listeners {
		path, unix := strings.CutPrefix(l.Address, "unix:")
		if l.TLS == tlsMode && unix == (network == "unix") {
			return path
		}
	}
	s.Fatalf("no listener with TLS %s: %+v", tlsMode, s.agent.Status().Listeners)
	return ""
}

// dial connects over TLS with the client's certificate.
func (s *secured) dial() net.Conn {
	s.Helper()
	config, err := certificate.LoadClient(certificate.ClientSource{CA: s.ca.File, Certificate: s.clientCert, Key: s.clientKey, ServerName: "localhost"})
	if err != nil {
		s.Fatal(err)
	}
	conn, err := tls.Dial("tcp", s.address("on", "tcp"), config)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = conn.Close() })
	return conn
}

// ask performs a step.
func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	perform(t, conn, `{"step_id":1,"timeout":5}`)
}

// perform sends a step, which must pass.
func perform(t *testing.T, conn net.Conn, step string) {
	t.Helper()
	var reply struct {
		Code int `json:"error_code"`
	}
	line := exchange(t, conn, step)
	if err := json.Unmarshal([]byte(line), &reply); err != nil || reply.Code != 0 {
		t.Fatalf("got %s, %v", line, err)
	}
}

// exchange sends a step and returns the reply.
func exchange(t *testing.T, conn net.Conn, step string) string {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, step+"\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// until waits until the condition holds.
func (s *secured) until(what string, holds func() bool) {
	s.Helper()
	for began := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 20*time.Second {
			s.Fatalf("%s: not within the time; the log:\n%s", what, s.log)
		}
	}
}

// put replaces a file as a program for certificates does.
func (s *secured) put(file, with string) {
	s.Helper()
	text, err := os.ReadFile(with)
	if err != nil {
		s.Fatal(err)
	}
	write(s.T, file, string(text))
}

func TestListeners(t *testing.T) {
	t.Parallel()
	s := startSecured(t, "")
	ask(t, s.dial())
	for _, network := range []string{"tcp", "unix"} {
		conn, err := net.Dial(network, s.address("off", network))
		if err != nil {
			t.Fatal(err)
		}
		ask(t, conn)
		_ = conn.Close()
	}
	socket := s.address("off", "unix")
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has %v, %v", info, err)
	}
	// A socket that is removed is made again.
	if err := os.Remove(socket); err != nil {
		t.Fatal(err)
	}
	s.until("the socket is there again", func() bool { _, err := os.Stat(socket); return err == nil })
	if err := s.agent.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket stays behind")
	}
}

func TestCertificatesAreExchanged(t *testing.T) {
	t.Parallel()
	s := startSecured(t, "")
	open := s.dial()
	ask(t, open)
	serial := func() string { return s.agent.Status().Certificates[0].Serial }
	first := serial()
	cert, key := s.ca.Issue(t, certtest.Template{CN: "board", DNS: []string{"localhost"}})

	// A certificate without its key is refused, and the old one serves.
	s.put(s.cert, cert)
	s.until("the mismatch is told", func() bool {
		return strings.Contains(strings.Join(s.agent.Status().Trouble, ""), "new certificates are refused")
	})
	ask(t, s.dial())
	if serial() != first {
		t.Error("a certificate without its key is in force")
	}

	s.put(s.key, key)
	s.until("the new one is in force", func() bool { return serial() != first && len(s.agent.Status().Trouble) == 0 })
	ask(t, s.dial())
	if _, err := open.Write([]byte(`{"step_id":2,"timeout":5}` + "\n")); err != nil {
		t.Errorf("an open connection: %v", err)
	}

	// The client is revoked: its connections are closed, and no other begins.
	s.put(s.crl, s.ca.CRL(t, certtest.Leaf(t, s.clientCert).SerialNumber))
	if err := open.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(open)
	for {
		if _, err := reader.ReadString('\n'); err != nil {
			if os.IsTimeout(err) {
				t.Errorf("the connection of a revoked client stays open; the log:\n%s", s.log)
			}
			break
		}
	}
}

// TestCertificatesChangeWhileTLSGoes: the files of the certificates change while a reload takes them out
// of the config.
func TestCertificatesChangeWhileTLSGoes(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	cert, key := ca.Issue(t, certtest.Template{CN: "board", DNS: []string{"localhost"}})
	const plain = "port = 0\nreload.settle = \"10ms\"\ntls.mode = \"off\"\n"
	o, file := options(t, plain+"tls.certificate = \""+cert+"\"\ntls.key = \""+key+"\"\n")
	s := &secured{T: t, log: &lines{}}
	o.Log = slog.New(slog.NewTextHandler(s.log, nil))
	load, started := o.Load, false
	o.Load = func() (*config.Loaded, error) {
		c, err := load()
		if started {
			write(t, cert, "no certificate\n")
			s.until("a reload of the certificates waits for this one", func() bool {
				return strings.Contains(s.log.String(), "files have changed; the certificates are reloaded")
			})
		}
		return c, err
	}
	a := start(t, o)
	started = true
	write(t, file, plain)
	for range 2 { // the reload of the certificates comes before the second
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if state := a.Status(); len(state.Certificates) != 0 || len(state.Trouble) != 0 {
		t.Errorf("without TLS there are %+v, %q", state.Certificates, state.Trouble)
	}
}

// TestTLSNeedsRestart: a reload cannot change what listens.
func TestTLSNeedsRestart(t *testing.T) {
	t.Parallel()
	s := startSecured(t, "")
	text, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s.file, strings.Replace(string(text), `mode = "off"`, `mode = "on"`, 1))
	if err := s.agent.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot change while the agent runs") {
		t.Errorf("got %v", err)
	}
	write(t, s.file, strings.Replace(string(text), s.key, s.clientKey, 1))
	if err := s.agent.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "tls.") {
		t.Errorf("got %v", err)
	}
	ask(t, s.dial())
}

// TestPageForOtherMachines: over TLS, and only with the token or a client's certificate.
func TestPageForOtherMachines(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	s := startSecured(t, "[http]\nlisten = \"0.0.0.0:0\"\ntls = true\ntoken_file = \""+token+"\"\n")
	state := s.agent.Status().HTTP
	_, port, err := net.SplitHostPort(state.Address)
	if err != nil || !strings.HasPrefix(state.URL(), "https://") {
		t.Fatalf("%+v, %v", state, err)
	}
	get := func(source certificate.ClientSource, authorize func(*http.Request)) int {
		t.Helper()
		source.CA = s.ca.File
		config, err := certificate.LoadClient(source)
		if err != nil {
			t.Fatal(err)
		}
		config.NextProtos = nil
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://localhost:"+port+"/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		if authorize != nil {
			authorize(request)
		}
		reply, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = reply.Body.Close()
		return reply.StatusCode
	}
	secret, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	secretText := strings.TrimSpace(string(secret))
	basic := func(password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("any", password) }
	}
	bearer := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secretText) }
	for name, test := range map[string]struct {
		source    certificate.ClientSource
		authorize func(*http.Request)
		want      int
	}{
		"nothing":       {want: http.StatusUnauthorized},
		"another token": {authorize: basic("guessed"), want: http.StatusUnauthorized},
		"the token":     {authorize: basic(secretText), want: http.StatusOK},
		"as a bearer":   {authorize: bearer, want: http.StatusOK},
		"a certificate": {source: certificate.ClientSource{Certificate: s.clientCert, Key: s.clientKey}, want: http.StatusOK},
	} {
		if got := get(test.source, test.authorize); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
