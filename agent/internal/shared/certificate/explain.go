package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"
)

// Explain makes a sentence for people of an error of a connection over TLS to an agent: of its
// handshake or, as with TLS 1.3 the agent checks the client's certificate after it, of the first
// read. Own is the certificate that the client has, or nil, and server the address or name of the
// agent. The sentence names whose certificate is refused, why, and what to do. It reports false if
// TLS is not the cause.
func Explain(err error, own *x509.Certificate, server string) (sentence string, ok bool) {
	server = clean(server)
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(failed.UnverifiedCertificates) > 0 {
		of := side{"the certificate of the agent at " + server, "serverAuth", "authority that is trusted here"}
		v := verifyError(failed.UnverifiedCertificates[0], failed.Err, time.Now(), of)
		v.advice = adviceFor(failed.Err)
		return v.Error(), true
	}
	if alert, text, ok := RemoteAlert(err); ok {
		return explainAlert(alert, text, own, server), true
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if header.RecordHeader[0] == '{' {
			return server + " answers without TLS; leave out --tls, or use the agent's port with TLS", true
		}
		return server + " does not speak TLS: " + clean(header.Msg), true
	}
	text, ok := tlsText(err)
	if !ok {
		return "", false
	}
	if strings.Contains(text, "server selected unsupported protocol version") {
		return server + " speaks an older version of TLS than 1.2; is it an agent?", true
	}
	return "the TLS handshake with " + server + " failed: " + text, true
}

// adviceFor says what a client can do when the agent's certificate is refused.
func adviceFor(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "give the CA that issued it with --ca"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "connect to a name that it is for, or say which one it has with --server-name"
	}
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case ok && invalid.Reason == x509.Expired:
		return "replace it, or set the clock of this machine"
	case ok && invalid.Reason == x509.IncompatibleUsage:
		return "issue one for servers"
	}
	return ""
}

// explainAlert says why an agent refused a client, as far as its alert tells. The reason for
// bad_certificate stands in the agent's log alone: crypto/tls sends it for all that has no alert of
// its own.
func explainAlert(alert tls.AlertError, text string, own *x509.Certificate, server string) string {
	agent := "the agent at " + server
	switch alert {
	case alertProtocolVersion:
		return agent + " speaks none of the versions of TLS that this client does (1.2 and 1.3)"
	case alertNoProtocol:
		return server + " speaks TLS, but not " + Protocol + "; is it an agent?"
	case alertCertificateRequired:
		if own == nil {
			return agent + " asks for a client certificate; give one with --cert and --key"
		}
		return agent + " asks for a client certificate and got none, although there is one: " + Describe(own)
	case alertHandshakeFailure:
		if own == nil {
			return agent + " refused the handshake; it may ask for a client certificate: give one with --cert and --key"
		}
	}
	if !slices.Contains(certificateAlerts, alert) {
		return agent + " ended the TLS connection: " + text
	}
	if own == nil {
		return agent + " refused this client (" + text + "), which has no certificate; give one with --cert and --key"
	}
	now := time.Now()
	v := &VerifyError{Certificate: own, Now: now, Clock: now, whose: agent + " refused this client's certificate, which"}
	v.Problem, v.advice = ownProblem(alert, text, own, now)
	return v.Error()
}

// certificateAlerts are those that are about the client's certificate.
var certificateAlerts = []tls.AlertError{alertBadCertificate, alertUnsupported, alertCertificateRevoked, alertCertificateExpired,
	alertCertificateUnknown, alertUnknownCA, alertAccessDenied}

// ownProblem says what is wrong with a client's own certificate, as far as the alert and the
// certificate tell, and what to do.
func ownProblem(alert tls.AlertError, text string, own *x509.Certificate, now time.Time) (problem, advice string) {
	isForClients := slices.ContainsFunc(own.ExtKeyUsage, func(usage x509.ExtKeyUsage) bool {
		return usage == x509.ExtKeyUsageClientAuth || usage == x509.ExtKeyUsageAny
	})
	switch {
	case now.After(own.NotAfter):
		return "expired at " + moment(own.NotAfter), "replace it, or set the clock of this machine"
	case now.Before(own.NotBefore):
		return "is not valid before " + moment(own.NotBefore), "wait until then, or set the clock of this machine"
	case alert == alertCertificateExpired:
		return "is outside its dates by the clock there, or an authority above it is", "compare that clock with this one"
	case alert == alertUnknownCA:
		return "is signed by no authority that is trusted there", "use one that is issued by an authority of the agent's tls.client_ca"
	case alert == alertCertificateRevoked:
		return "is revoked", "use another"
	case len(own.ExtKeyUsage) > 0 && !isForClients:
		return "is not for clients: its extended key usage lacks clientAuth", "issue one for clients"
	}
	return "may be revoked or not allowed there (" + text + ")", "the agent's log says why"
}
