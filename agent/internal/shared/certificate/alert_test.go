package certificate_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// alert returns the error that a read of crypto/tls gives for an alert, inside that of a client.
func alert(code tls.AlertError) error {
	return fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: &net.OpError{Op: "remote error", Err: code}})
}

// TestAlerts: each alert gives a sentence on both sides, also those of libraries that tell more
// than crypto/tls.
func TestAlerts(t *testing.T) {
	t.Parallel()
	certFile, _ := certtest.New(t).Issue(t, clientCert())
	own := certtest.Leaf(t, certFile)
	for code, want := range map[tls.AlertError]struct{ server, client, bare string }{
		42: {"(bad certificate); it itself says why", "may be revoked or not allowed there (bad certificate): CN=station-7", "which has no certificate; give one"},
		43: {"cannot use a certificate of this kind", "not allowed there (unsupported certificate)", "(unsupported certificate), which has no certificate"},
		44: {"says that the agent's certificate is revoked", "is revoked: CN=station-7", "(revoked certificate), which has no certificate"},
		45: {"outside its dates; compare the clocks", "is outside its dates by the clock there, or an authority above it is: CN=station-7", "(expired certificate), which"},
		46: {"(certificate unknown); it itself says why", "(unknown certificate): CN=station-7", "(unknown certificate), which"},
		48: {"does not know the authority of the agent's certificate", "is signed by no authority that is trusted there", "(unknown certificate authority), which"},
		49: {"ended the TLS connection: access denied", "not allowed there (access denied)", "(access denied), which"},
		40: {"ended the TLS connection: handshake failure", "ended the TLS connection: handshake failure", "it may ask for a client certificate: give one"},
		70: {"speaks none of the agent's versions of TLS", "speaks none of the versions of TLS", "speaks none of the versions of TLS"},
		80: {"ended the TLS connection: internal error", "ended the TLS connection: internal error", "ended the TLS connection: internal error"},
		116: {"ended the TLS connection: certificate required", "asks for a client certificate and got none, although there is one: CN=station-7",
			"asks for a client certificate; give one with --cert and --key"},
		120: {"ended the TLS connection: no application protocol", "speaks TLS, but not stepagent/1", "speaks TLS, but not stepagent/1"},
		200: {"ended the TLS connection: alert(200)", "ended the TLS connection: alert(200)", "ended the TLS connection: alert(200)"},
	} {
		check := func(side, got string, ok bool, want string) {
			t.Helper()
			if !ok || !strings.Contains(got, want) {
				t.Errorf("alert %d, %s: got %q\nwant %s", code, side, got, want)
			}
		}
		got, ok := certificate.Refusal(alert(code))
		check("server", got, ok, want.server)
		got, ok = certificate.Explain(alert(code), own, server)
		check("client", got, ok, want.client)
		got, ok = certificate.Explain(alert(code), nil, server)
		check("client without a certificate", got, ok, want.bare)
	}
}

// TestOtherErrors: what TLS is not the cause of is left to the caller, and what has no sentence of its
// own has one all the same.
func TestOtherErrors(t *testing.T) {
	t.Parallel()
	for _, err := range []error{nil, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, os.ErrDeadlineExceeded, t.Context().Err(), errors.New("other"),
		&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}} {
		if detail, ok := certificate.Refusal(err); ok || detail != "" {
			t.Errorf("%v: refusal %q", err, detail)
		}
		if sentence, ok := certificate.Explain(err, nil, server); ok || sentence != "" {
			t.Errorf("%v: explanation %q", err, sentence)
		}
	}
	for text, want := range map[string][2]string{
		"local error: tls: bad record MAC": {
			"what the client sent cannot be decrypted (bad record MAC), as when a client with OpenSSL refuses the agent's " +
				"certificate; it itself says why", "the TLS handshake with " + server + " failed: bad record MAC"},
		"tls: no cipher suite supported by both client and server; client offered: [1]": {
			"client and agent have no cipher suite in common", ""},
		"tls: client offered only unsupported versions: [1a1a 302 301]": {
			"the client speaks TLS 1.1 at most; update it, or allow that with tls.min_version", ""},
		"local error: tls: unexpected message": {
			"the TLS handshake failed: unexpected message", ""},
		"tls: client offered only unsupported versions: [1a1a]": {
			"the client offers no version of TLS that the agent speaks", ""},
		"tls: server selected unsupported protocol version 302": {
			"", server + " speaks an older version of TLS than 1.2; is it an agent?"},
	} {
		err := errors.New(text)
		if got, _ := certificate.Refusal(err); want[0] != "" && got != want[0] {
			t.Errorf("%s: refusal %q", text, got)
		}
		if got, _ := certificate.Explain(err, nil, server); want[1] != "" && got != want[1] {
			t.Errorf("%s: explanation %q", text, got)
		}
	}
}

// TestDescribe: names from certificates are clean and bounded.
func TestDescribe(t *testing.T) {
	t.Parallel()
	ca := certtest.NewCA(t, certtest.Template{CN: "CA\r\nline"})
	for name, test := range map[string]struct {
		template certtest.Template
		want     string
	}{
		"name":    {certtest.Template{CN: "x\x1b[2J", Change: serial(0x3af0)}, `CN=x\x1b[2J, issued by CN=CA\r\nline, serial 3A:F0, valid 20`},
		"no name": {certtest.Template{Change: serial(1)}, `(no name), issued by CN=CA\r\nline, serial 01, valid 20`},
		"SAN":     {certtest.Template{URIs: []string{"spiffe://bench.example/7"}, Change: serial(256)}, `spiffe://bench.example/7, issued by CN=CA\r\nline, serial 01:00, valid 20`},
		"long":    {certtest.Template{CN: strings.Repeat("시", 1000), Change: serial(1)}, "CN=" + strings.Repeat("시", 84) + "..., issued by"},
	} {
		certFile, _ := ca.Issue(t, test.template)
		if got := certificate.Describe(certtest.Leaf(t, certFile)); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %s\nwant %s", name, got, test.want)
		}
	}
}
