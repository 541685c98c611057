package certificate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const noCertificate = "the client sent no certificate, and client_ca asks each client for one"

// serverTexts are sentences for errors of a server's handshake that crypto/tls gives as texts, by
// what these contain.
var serverTexts = []struct{ contains, sentence string }{
	{"client didn't provide a certificate", noCertificate},
	{"no cipher suite supported by both client and server", "client and agent have no cipher suite in common"},
	{"no key exchanges supported by both client and server", "client and agent have no key exchange in common"},
	{"no ECDHE curve supported by both client and server", "client and agent have no key exchange in common"},
	{"peer doesn't support any of the certificate's signature algorithms",
		"the client cannot check signatures of the kind of key that the agent's certificate has"},
	// OpenSSL 3 sends its alert in plain text when it refuses the certificate of a TLS 1.3 server.
	{"bad record MAC", "what the client sent cannot be decrypted (bad record MAC), as when a client with OpenSSL refuses the " +
		"agent's certificate; it itself says why"},
}

// clientAlerts say why a client refused the agent, by its alert.
var clientAlerts = map[tls.AlertError]string{
	alertUnknownCA:          "the client does not know the authority of the agent's certificate; give it that CA (stepctl: --ca)",
	alertCertificateExpired: "the client says that the agent's certificate is outside its dates; compare the clocks",
	alertCertificateRevoked: "the client says that the agent's certificate is revoked",
	alertBadCertificate:     "the client refused the agent's certificate (bad certificate); it itself says why",
	alertCertificateUnknown: "the client refused the agent's certificate (certificate unknown); it itself says why",
	alertUnsupported:        "the client cannot use a certificate of this kind (unsupported certificate)",
	alertProtocolVersion:    "the client speaks none of the agent's versions of TLS, see tls.min_version",
}

// Refusal makes a sentence for the log of an error of a handshake with a client, or of the check of
// its certificate. The certificate in question is named with its subject, issuer, serial number
// and dates, and with this machine's clock. It reports false if TLS is not the cause: the
// connection broke, or its time was over.
func Refusal(err error) (detail string, ok bool) {
	if verify, ok := errors.AsType[*VerifyError](err); ok {
		return verify.Error(), true
	}
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(failed.UnverifiedCertificates) > 0 {
		return verifyError(failed.UnverifiedCertificates[0], failed.Err, time.Now(), clientSide).Error(), true
	}
	if alert, text, ok := RemoteAlert(err); ok {
		if sentence := clientAlerts[alert]; sentence != "" {
			return sentence, true
		}
		return "the client ended the TLS connection: " + text, true
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("what the client sent is not TLS: %s (it begins with % x)", header.Msg, header.RecordHeader), true
	}
	text, ok := tlsText(err)
	if !ok {
		return "", false
	}
	for _, known := range serverTexts {
		if strings.Contains(text, known.contains) {
			return known.sentence, true
		}
	}
	if _, offered, found := strings.Cut(text, "client offered only unsupported versions: "); found {
		return tooOld(offered), true
	}
	if _, offered, found := strings.Cut(text, "client requested unsupported application protocols "); found {
		return "the client asked for the application protocols " + offered + ", and the agent speaks " + Protocol, true
	}
	return "the TLS handshake failed: " + text, true
}

// tooOld says which version of TLS a client speaks at most, from a list such as "[302 301]".
func tooOld(offered string) string {
	newest := uint16(0)
	for _, word := range strings.Fields(strings.Trim(offered, "[]")) {
		version, err := strconv.ParseUint(word, 16, 16)
		if err == nil && version >= tls.VersionTLS10 && version <= tls.VersionTLS13 { // others are made up, see RFC 8701
			newest = max(newest, uint16(version))
		}
	}
	if newest == 0 {
		return "the client offers no version of TLS that the agent speaks"
	}
	return "the client speaks " + tls.VersionName(newest) + " at most; update it, or allow that with tls.min_version"
}

// tlsText returns the text of an error that crypto/tls found, without its prefix, clean and of
// bounded length. It reports false for errors of the connection.
func tlsText(err error) (text string, ok bool) {
	if err == nil || isBroken(err) {
		return "", false
	}
	_, text, ok = strings.Cut(err.Error(), "tls: ")
	return clean(text), ok
}

// isBroken reports whether an error is of the connection and not of what was said on it.
func isBroken(err error) bool {
	for _, broken := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, os.ErrDeadlineExceeded,
		context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, broken) {
			return true
		}
	}
	_, ok := errors.AsType[syscall.Errno](err)
	return ok
}
