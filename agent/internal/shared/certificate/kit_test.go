package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

const (
	host   = "board-7.example"
	server = host + ":8443"
)

// serial has a certificate's serial number fixed, for texts that name it.
func serial(n int64) func(*x509.Certificate) {
	return func(cert *x509.Certificate) { cert.SerialNumber = big.NewInt(n) }
}

// agentCert and clientCert are templates of certificates as in a guide.
func agentCert() certtest.Template {
	return certtest.Template{CN: host, DNS: []string{host}, Change: serial(0x105)}
}

func clientCert() certtest.Template {
	return certtest.Template{CN: "station-7", Change: serial(0x3af0)}
}

// newSource returns the files of an agent whose certificate and clients are of one CA.
func newSource(t testing.TB, ca *certtest.CA, agent certtest.Template) certificate.Source {
	t.Helper()
	cert, key := ca.Issue(t, agent)
	return certificate.Source{Certificate: cert, Key: key, ClientCA: ca.File}
}

func mustLoad(t testing.TB, source certificate.Source) *certificate.Set {
	t.Helper()
	set, err := certificate.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// newClient returns the configuration of a client with a certificate of a CA, and its leaf.
func newClient(t testing.TB, trusted string, ca *certtest.CA, template certtest.Template) (*tls.Config, *x509.Certificate) {
	t.Helper()
	cert, key := ca.Issue(t, template)
	return mustLoadClient(t, certificate.ClientSource{CA: trusted, Certificate: cert, Key: key, ServerName: host})
}

func mustLoadClient(t testing.TB, source certificate.ClientSource) (*tls.Config, *x509.Certificate) {
	t.Helper()
	config, err := certificate.LoadClient(source)
	if err != nil {
		t.Fatal(err)
	}
	if len(config.Certificates) == 0 {
		return config, nil
	}
	return config, config.Certificates[0].Leaf
}

// A meeting is what both sides had of a connection.
type meeting struct {
	serverErr, clientErr error
	state                tls.ConnectionState // of the server
}

// meet connects client and server over loopback. The server sends a byte after the handshake, which
// the client reads.
func meet(t testing.TB, serverConfig, clientConfig *tls.Config) (m meeting) {
	t.Helper()
	return meetRaw(t, serverConfig, func(conn net.Conn) error {
		client := tls.Client(conn, clientConfig)
		_, err := client.Read(make([]byte, 1))
		_ = client.Close() // what was read counts
		return err
	})
}

// meetRaw is meet with any client.
func meetRaw(t testing.TB, serverConfig *tls.Config, client func(net.Conn) error) (m meeting) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	served := make(chan error, 1)
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			served <- err
			return
		}
		defer func() { _ = raw.Close() }()
		conn := tls.Server(raw, serverConfig)
		if err = conn.Handshake(); err == nil {
			m.state = conn.ConnectionState()
			_, err = conn.Write([]byte{1})
		}
		_ = raw.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, raw) // bytes unread would reset the connection before the client has the alert
		served <- err
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	m.clientErr = client(conn)
	_ = conn.Close()
	m.serverErr = <-served
	return m
}

// write writes a new file of mode 0600 and returns its path.
func write(t testing.TB, name string, parts ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, bytes.Join(parts, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wantError checks that an error holds each of the texts; none: that there is no error.
func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	if len(texts) == 0 && err != nil {
		t.Error(err)
	}
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v\nwant %s", err, text)
		}
	}
}
