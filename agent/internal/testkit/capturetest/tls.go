package capturetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
)

// A TLS encrypts what the two ends of a connection say, by a client and a server of crypto/tls that
// have made their handshake in memory.
type TLS struct {
	Client, Server *tls.Conn
	wire           *wire
	handshake      []flight
	pending        map[bool][]byte // sent and in no packet yet, by whether the client sent it
}

// A flight is what one end sends before it waits for the other.
type flight struct {
	fromClient bool
	data       []byte
}

// TLSConfigs returns the configs of a client and a server that trust one another and log their
// secrets to keyLog. The client asks for the agent's protocol by ALPN.
func TLSConfigs(keyLog io.Writer) (client, server *tls.Config) {
	c := ownCertificate()
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	protocols := []string{certificate.Protocol}
	client = &tls.Config{ServerName: c.Leaf.DNSNames[0], RootCAs: roots, NextProtos: protocols, KeyLogWriter: keyLog}
	server = &tls.Config{Certificates: []tls.Certificate{c}, NextProtos: protocols}
	return client, server
}

// ownCertificate returns a certificate that signs itself, made once.
var ownCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"agent.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	leaf, err := x509.ParseCertificate(der)
	must(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
})

// NewTLS makes the handshake between a client and a server.
func NewTLS(client, server *tls.Config) (*TLS, error) {
	w := newWire()
	t := &TLS{wire: w, pending: map[bool][]byte{}, Client: tls.Client(end{w, true}, client), Server: tls.Server(end{w, false}, server)}
	done := make(chan error, 1)
	go func() { done <- t.Server.Handshake() }()
	err := t.Client.Handshake()
	if err != nil {
		w.close()
	}
	if failed := <-done; err == nil {
		err = failed
	}
	t.handshake = w.take()
	return t, err
}

// Handshake returns what both ends sent for the handshake, the client's and the server's.
func (t *TLS) Handshake() (client, server []byte) {
	for _, f := range t.handshake {
		if f.fromClient {
			client = append(client, f.data...)
		} else {
			server = append(server, f.data...)
		}
	}
	return client, server
}

// Say returns the records in which one end sends data. The other end reads them; what it sends in
// answer, such as a KeyUpdate, is in front of what it says next.
func (t *TLS) Say(fromClient bool, data []byte) []byte {
	from, to := t.Server, t.Client
	if fromClient {
		from, to = to, from
	}
	_, err := from.Write(data)
	must(err)
	_, err = io.ReadFull(to, make([]byte, len(data)))
	must(err)
	return t.Sent(fromClient)
}

// Close returns the record in which one end says that it sends no more.
func (t *TLS) Close(fromClient bool) []byte {
	from := t.Server
	if fromClient {
		from = t.Client
	}
	must(from.CloseWrite())
	return t.Sent(fromClient)
}

// Sent returns what one end has sent and no call has returned.
func (t *TLS) Sent(fromClient bool) []byte {
	for _, f := range t.wire.take() {
		t.pending[f.fromClient] = append(t.pending[f.fromClient], f.data...)
	}
	data := t.pending[fromClient]
	t.pending[fromClient] = nil
	return data
}

// A wire is a connection in memory that keeps what is sent. Its buffers have no bound.
type wire struct {
	mu     sync.Mutex
	sent   *sync.Cond
	to     map[bool]*bytes.Buffer // by whether the client reads it
	log    []flight
	closed bool
}

func newWire() *wire {
	w := &wire{to: map[bool]*bytes.Buffer{true: {}, false: {}}}
	w.sent = sync.NewCond(&w.mu)
	return w
}

// take returns what was sent since the last call.
func (w *wire) take() []flight {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken := w.log
	w.log = nil
	return taken
}

func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.sent.Broadcast()
}

// An end is one end of a wire.
type end struct {
	*wire
	client bool
}

func (e end) Write(data []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.log); n == 0 || e.log[n-1].fromClient != e.client {
		e.log = append(e.log, flight{fromClient: e.client})
	}
	last := &e.log[len(e.log)-1]
	last.data = append(last.data, data...)
	e.sent.Broadcast()
	return e.to[!e.client].Write(data)
}

func (e end) Read(data []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.to[e.client].Len() == 0 {
		if e.closed {
			return 0, io.EOF
		}
		e.sent.Wait()
	}
	return e.to[e.client].Read(data)
}

func (e end) Close() error                     { e.close(); return nil }
func (e end) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (e end) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (e end) SetDeadline(time.Time) error      { return nil }
func (e end) SetReadDeadline(time.Time) error  { return nil }
func (e end) SetWriteDeadline(time.Time) error { return nil }
