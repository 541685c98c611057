package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// A Mode says whether the connections of a listener speak TLS.
type Mode uint8

// The modes of a listener.
const (
	Plain Mode = iota
	TLS
	// Either leaves it to the client: the first byte of the connection decides.
	Either
)

// firstOfTLS is the first byte of a TLS connection: the type of a record with a handshake message, RFC
// 8446, section 5.1. No JSON text begins with it.
const firstOfTLS = 0x16

// overloadAlert is a TLS record with the fatal alert internal_error, RFC 8446, section 6: what a server
// sends that has no memory for a handshake either.
var overloadAlert = []byte{21, 3, 3, 0, 2, 2, 80}

// maxHandshakeBytes is how much of a client's handshake is read: many times what usual certificates
// take. It bounds the memory of a client that has not shown who it is.
const maxHandshakeBytes = 32 << 10

var (
	errNoCertificate = errors.New("the agent has no certificate; set tls.certificate and tls.key")
	errLongHandshake = fmt.Errorf("the client's handshake has more than %d bytes", maxHandshakeBytes)
)

// outerConfig returns the config of all handshakes, which takes all but the keys of session tickets
// from the options in force.
func outerConfig(options *atomic.Pointer[Options]) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		o := options.Load()
		if o.tls == nil {
			return nil, errNoCertificate
		}
		hello.Conn.(*transport).options = o
		return o.tls, nil
	}}
}

// prepareTLS makes the config of handshakes from the certificates and the rules.
func (o *Options) prepareTLS() {
	o.tls = nil
	if o.Certificates != nil {
		o.tls = o.Certificates.ServerConfig()
		o.tls.VerifyConnection = o.verify
	}
}

// A tlsStream is the stream of a connection with TLS. After a write has failed all others do.
type tlsStream struct {
	*tls.Conn
	below *transport
	reset bool // the client is to see a reset, and no end before it
}

// Read is that of the tls.Conn, but a client that closes its socket without a word has ended the
// stream: messages are complete in themselves. So has one whose socket was reset, which happens when a
// client closes it and has not read the session tickets.
func (t *tlsStream) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		err = io.EOF
	}
	return n, err
}

// Close closes the socket. It never blocks, and so does not send the alert that CloseWrite sends.
func (t *tlsStream) Close() error { return t.below.Close() }

// CloseWrite tells the client that nothing follows: by the alert close_notify, if the client takes it
// soon, and by the end of the TCP stream.
func (t *tlsStream) CloseWrite() error {
	t.notify()
	return closeWrite(t.below.Conn)
}

// notify sends the alert close_notify, unless it was sent or the client is to see a reset. It may block
// for drainTime, or until a write under way has ended.
func (t *tlsStream) notify() {
	if !t.reset {
		t.below.closing.Store(true)
		_ = t.Conn.CloseWrite() // fails if the connection has failed already
	}
}

// SetLinger is that of net.TCPConn.
func (t *tlsStream) SetLinger(seconds int) error {
	t.reset = seconds == 0
	if tcp, ok := t.below.Conn.(*net.TCPConn); ok {
		return tcp.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// closeWrite ends the sending side of a socket.
func closeWrite(s stream) error {
	half, ok := s.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// socketOf returns what carries the bytes of a stream.
func socketOf(s stream) stream {
	if t, ok := s.(*tlsStream); ok {
		return t.below.Conn
	}
	return s
}

// A transport is the socket below a TLS connection. During the handshake it takes part in
// handshakeSlots. It gives each write a deadline of its own, those of alerts and key updates too: the
// TLS connection is lost when a write times out.
type transport struct {
	net.Conn
	conn    *conn
	first   []byte      // read before the handshake
	closing atomic.Bool // writes have drainTime
	// Of the handshake:
	running bool
	bytes   int       // read
	options *Options  // whose certificates it uses
	until   time.Time // when its time is over
	entered time.Time // when it got its slot; zero while it has none
}

// handshake makes the handshake of the connection above. It gives the slot back also if that panics.
func (t *transport) handshake(over *tls.Conn) error {
	defer func() {
		t.leave()
		t.running = false
	}()
	return over.HandshakeContext(t.conn.steps)
}

// Read reads from the socket. The handshake gives its slot back meanwhile.
func (t *transport) Read(b []byte) (int, error) {
	if len(t.first) > 0 {
		n := copy(b, t.first)
		t.first = t.first[n:]
		return n, nil
	}
	if !t.running {
		return t.Conn.Read(b)
	}
	t.leave()
	n, err := t.conn.worker.Read(b)
	if err != nil {
		return n, err
	}
	if t.bytes += n; t.bytes > maxHandshakeBytes {
		return 0, errLongHandshake
	}
	if !t.conn.server.handshakes.enter(t.until, t.conn.server.stopping) {
		return 0, os.ErrDeadlineExceeded
	}
	t.entered = time.Now()
	return n, nil
}

// Write writes to the socket. The handshake gives its slot back: it reads next, or is over.
func (t *transport) Write(b []byte) (int, error) {
	t.leave()
	_ = t.Conn.SetWriteDeadline(t.writeDeadline()) // fails only when closed
	return t.Conn.Write(b)
}

func (t *transport) writeDeadline() time.Time {
	switch {
	case t.running:
		return t.until
	case t.closing.Load():
		return time.Now().Add(drainTime)
	default:
		return time.Now().Add(t.conn.server.options.Load().ReplyTime)
	}
}

// SetWriteDeadline does nothing: Write sets the deadline.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// leave gives the slot back, if the handshake has one.
func (t *transport) leave() {
	if !t.entered.IsZero() {
		t.conn.server.handshakes.leave(time.Since(t.entered))
		t.entered = time.Time{}
	}
}
