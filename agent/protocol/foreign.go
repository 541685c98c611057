package protocol

import (
	"bytes"
	"strings"
)

// foreignBytes is how much is quoted of bytes that do not begin a message.
const foreignBytes = 32

// foreign describes bytes that do not begin with a brace, mostly the start of another protocol. It
// knows only what has been read so far.
func foreign(b []byte) string {
	const must = `a message must be a JSON object, which begins with "{"; `
	switch {
	case isTLS(b):
		return must + "this looks like a TLS ClientHello, but the port speaks plain TCP"
	case bytes.HasPrefix(b, []byte("SSH-")):
		return must + "this looks like the banner of an SSH client"
	case isHTTP(b):
		return must + "this looks like HTTP"
	case isByteOrderMark(b):
		return must + "this looks like a byte order mark, send UTF-8 without one"
	default:
		line, _, _ := strings.Cut(string(b[:min(len(b), foreignBytes)]), "\n")
		return must + "got " + printable(strings.TrimRight(line, "\r"), foreignBytes)
	}
}

// isTLS recognizes a TLS handshake record: type 22, then the major version 3 (RFC 8446, section 5.1).
func isTLS(b []byte) bool { return b[0] == 22 && (len(b) == 1 || b[1] == 3) }

// isHTTP recognizes the request methods (RFC 9110, section 9.3, and RFC 5789) and the preface of
// HTTP/2 (RFC 9113, section 3.4).
func isHTTP(b []byte) bool {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "PRI"} {
		if bytes.HasPrefix(b, []byte(method+" ")) {
			return true
		}
	}
	return false
}

// isByteOrderMark recognizes the mark in UTF-8 and in both orders of UTF-16.
func isByteOrderMark(b []byte) bool {
	return bytes.HasPrefix(b, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(b, []byte("\xfe\xff")) ||
		bytes.HasPrefix(b, []byte("\xff\xfe"))
}
