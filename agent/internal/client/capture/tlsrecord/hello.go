package tlsrecord

import (
	"crypto/tls"
	"encoding/binary"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
)

// The types of records, RFC 8446 section 5.1.
const (
	changeCipherSpec = 20
	alert            = 21
	handshake        = 22
	applicationData  = 23
)

// The types of handshake messages, RFC 8446 section 4.
const (
	helloOfClient = 1
	helloOfServer = 2
	keyUpdate     = 24
)

const (
	headerBytes = 5
	// maxBody is the longest body of a record, that of TLS 1.2 (RFC 5246 section 6.2.3).
	maxBody = 1<<14 + 2048
	// messageHeader is the type and the length of a handshake message.
	messageHeader = 4
	// maxHello bounds a hello; that of a client with a key for every group has a few kilobytes.
	maxHello    = 1 << 16
	randomBytes = 32
)

// alpn is the protocol of agents as it stands in a ClientHello (RFC 7301). Not all clients ask for it.
var alpn = append([]byte{byte(len(certificate.Protocol))}, certificate.Protocol...)

// Speaks reports whether bytes begin with the header of a record.
func Speaks(b []byte) bool {
	_, _, ok := header(b)
	return ok
}

// header returns the type and the length of the record that bytes begin with.
func header(b []byte) (kind byte, body int, ok bool) {
	if len(b) < headerBytes || b[0] < changeCipherSpec || b[0] > applicationData || b[1] != 3 || b[2] > 4 {
		return 0, 0, false
	}
	body = int(binary.BigEndian.Uint16(b[3:]))
	return b[0], body, body <= maxBody
}

// A Random is that of a ClientHello, by which a key log names the connection.
type Random [randomBytes]byte

// RandomOf returns the random of the ClientHello that a payload begins with.
func RandomOf(payload []byte) (random Random, ok bool) {
	const at = headerBytes + messageHeader + 2
	kind, _, ok := header(payload)
	if !ok || kind != handshake || len(payload) < at+randomBytes || payload[headerBytes] != helloOfClient {
		return Random{}, false
	}
	copy(random[:], payload[at:])
	return random, true
}

// clientHello returns the random and the body of the ClientHello that a stream begins with.
func clientHello(stream []byte) (random Random, body []byte, ok bool) {
	kind, body := firstMessage(stream)
	r := reader{b: body}
	r.take(2)
	copy(random[:], r.take(randomBytes))
	return random, body, kind == helloOfClient && !r.short
}

// chosen is what a ServerHello says.
type chosen struct {
	random         []byte
	version, suite uint16
}

// serverHello returns what the ServerHello that a stream begins with says. A HelloRetryRequest has
// the same version and suite as the ServerHello after it (RFC 8446 section 4.1.4).
func serverHello(stream []byte) (c chosen, ok bool) {
	const supportedVersions = 43
	kind, body := firstMessage(stream)
	r := reader{b: body}
	c.version, c.random = r.number(2), r.take(randomBytes)
	r.vector(1) // the session id
	c.suite = r.number(2)
	r.take(1) // the compression
	ok = kind == helloOfServer && !r.short
	extensions := reader{b: r.vector(2)}
	for ok && len(extensions.b) > 0 {
		kind := extensions.number(2)
		if value := extensions.vector(2); kind == supportedVersions && len(value) == 2 {
			c.version = binary.BigEndian.Uint16(value)
		}
	}
	return c, ok
}

// firstMessage returns the handshake message that a stream begins with, of one record or several;
// 0 when it does not, or the message is not complete.
func firstMessage(stream []byte) (kind byte, body []byte) {
	var said []byte
	for {
		kind, n, ok := header(stream)
		if !ok || kind != handshake || len(stream) < headerBytes+n {
			return 0, nil
		}
		said = append(said, stream[headerBytes:headerBytes+n]...)
		stream = stream[headerBytes+n:]
		if len(said) < messageHeader {
			continue
		}
		length := lengthOf(said)
		switch {
		case length > maxHello:
			return 0, nil
		case len(said) >= messageHeader+length:
			return said[0], said[messageHeader : messageHeader+length]
		}
	}
}

// lengthOf returns the length in the header of a handshake message.
func lengthOf(header []byte) int { return int(binary.BigEndian.Uint32(header) & 0xffffff) }

// silent reports whether a stream has no encrypted data: the handshake of its client ended early.
func silent(stream []byte) bool {
	for len(stream) >= headerBytes {
		kind, n, ok := header(stream)
		if !ok || kind == applicationData {
			return false
		}
		stream = stream[min(headerBytes+n, len(stream)):]
	}
	return true
}

// plainAlert returns the fatal alert that a stream ends with before anything is encrypted.
func plainAlert(stream []byte) string {
	for len(stream) > 0 {
		kind, n, ok := header(stream)
		if !ok || len(stream) < headerBytes+n {
			break
		}
		if text, _ := readAlert(stream[headerBytes : headerBytes+n]); kind == alert && text != "" {
			return text
		}
		stream = stream[headerBytes+n:]
	}
	return ""
}

// readAlert returns the name of a fatal alert, and whether it refuses a handshake; empty for others.
func readAlert(body []byte) (name string, refuses bool) {
	const closeNotify, userCanceled = 0, 90
	if len(body) != 2 || body[1] == closeNotify || body[1] == userCanceled {
		return "", false
	}
	switch body[1] {
	case 40, 42, 43, 44, 45, 46, 48, 49, 70, 71, 86, 112, 116, 120: // RFC 8446 section 6.2
		refuses = true
	}
	return strings.TrimPrefix(tls.AlertError(body[1]).Error(), "tls: "), refuses
}

// A reader takes numbers and vectors (RFC 8446 section 3) off the front of bytes. When there are
// too few, it returns none from then on, and short is set.
type reader struct {
	b     []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if len(r.b) < n {
		r.b, r.short = nil, true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

// number takes a number of at most two bytes.
func (r *reader) number(size int) uint16 {
	n := uint16(0)
	for _, b := range r.take(size) {
		n = n<<8 | uint16(b)
	}
	return n
}

// vector takes bytes with their length in front, which has size bytes itself.
func (r *reader) vector(size int) []byte { return r.take(int(r.number(size))) }
