// Package tlsrecord decrypts recorded TLS connections with the secrets of a key log: two streams of
// bytes in, the records with their data out. It knows TLS 1.3 (RFC 8446) with its three cipher
// suites of the web, and TLS 1.2 (RFC 5246) with ephemeral keys and AEAD.
//
// It verifies no certificate. The authentication of the records shows that they are those of the
// connection.
//
// The streams are not trusted: every length is bounded by the bytes that are there.
package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"fmt"
)

// A Conn is a recorded connection.
type Conn struct {
	// Version and Suite are those that the server chose, as in package crypto/tls; 0 when its
	// ServerHello is not there.
	Version, Suite uint16
	// ToAgent says that the client asked for an agent by ALPN.
	ToAgent bool
	// Silent says that the client sent no encrypted data, so that nothing was said; Alert is what
	// the server said of its handshake in plain, empty for nothing.
	Silent bool
	Alert  string
	// Problem says why nothing was decrypted; nil when something was. It is one of the errors of
	// this package or wraps one.
	Problem error
	// Client and Server are what the two ends sent. Their records are empty with a Problem.
	Client, Server Side
}

// A Side is what one end of a connection sent.
type Side struct {
	// Records are in order and without a gap. Those without Data carry none: of the handshake,
	// alerts, and messages about keys.
	Records []Record
	// Problem says why the record behind Records is not among them; nil when there is none. It is
	// ErrCut, ErrNoRecord, ErrForged or ErrRenegotiated.
	Problem error
	// Alert is the fatal alert that the end sent, empty for none; Refused says that it refuses the
	// handshake, so that what the other end sent with it was not read.
	Alert   string
	Refused bool
}

// A Record is a record and its place in its stream.
type Record struct {
	Begin, End int
	// Data is a part of the stream's memory.
	Data []byte
}

// hasData reports whether a record has data.
func (s *Side) hasData() bool {
	for i := range s.Records {
		if len(s.Records[i].Data) > 0 {
			return true
		}
	}
	return false
}

// An Error says why a connection, or a record, is not decrypted. It completes a sentence.
type Error string

// Error returns the text.
func (e Error) Error() string { return string(e) }

// Why nothing of a connection is decrypted.
const (
	// ErrNoKeyLog: there is no key log.
	ErrNoKeyLog Error = "there are no keys"
	// ErrNoSecrets: the key log has no secrets of the connection.
	ErrNoSecrets Error = "the key log has no secrets of it"
	// ErrNoHello: a hello is missing, and with it what the keys are found by.
	ErrNoHello Error = "its handshake is not in the capture, and its keys are found by that"
	// ErrUnsupported: another version or cipher suite.
	ErrUnsupported Error = "is not supported"
	// ErrOtherKeys: no record can be decrypted.
	ErrOtherKeys Error = "none of its records can be decrypted with the secrets of the key log"
)

// Why a record is not decrypted, after others were.
const (
	// ErrCut: the bytes end in the middle of the record.
	ErrCut Error = "the rest of a TLS record is missing"
	// ErrNoRecord: the bytes are no record.
	ErrNoRecord Error = "its bytes are no TLS record"
	// ErrForged: the authentication fails.
	ErrForged Error = "its bytes are not those that the sender encrypted"
	// ErrRenegotiated: the ends agreed on other keys, which TLS 1.3 cannot.
	ErrRenegotiated Error = "the ends agreed on other keys, which is not supported"
)

// Decrypt decrypts what the two ends of a connection sent, each from its first byte up to the first
// that is missing. It does so in place: the streams are not usable afterwards. A nil key log is one
// without secrets.
func Decrypt(client, server []byte, log *KeyLog) *Conn {
	c := &Conn{Silent: silent(client)}
	random, hello, ok := clientHello(client)
	c.ToAgent = bytes.Contains(hello, alpn)
	if c.Silent {
		c.Alert = plainAlert(server)
	}
	chosen, found := serverHello(server)
	if !ok || !found {
		c.Problem = ErrNoHello
		return c
	}
	c.Version, c.Suite = chosen.version, chosen.suite
	secrets := log.secrets(random)
	suite, known := suites[chosen.suite]
	switch {
	case !known || suite.version != chosen.version:
		c.Problem = fmt.Errorf("%s with %s %w", tls.VersionName(c.Version), tls.CipherSuiteName(c.Suite), ErrUnsupported)
	case log == nil:
		c.Problem = ErrNoKeyLog
	case !secrets.fit(suite):
		c.Problem = ErrNoSecrets
	}
	if c.Problem != nil {
		return c
	}
	fromClient, fromServer, err := suite.keys(secrets, random, chosen.random)
	if err != nil {
		c.Problem = fmt.Errorf("its cipher suite %w: %w", ErrUnsupported, err)
		return c
	}
	opened := c.Client.decrypt(client, fromClient)
	if c.Server.decrypt(server, fromServer) || opened {
		if c.Server.Refused && !c.Server.hasData() {
			for i := range c.Client.Records {
				c.Client.Records[i].Data = nil
			}
		}
		return c
	}
	c.Problem, c.Client, c.Server = ErrOtherKeys, Side{}, Side{}
	return c
}
