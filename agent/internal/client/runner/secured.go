package runner

import (
	"crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/tlsdial"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
)

// secured records how a connection over TLS is secured, before a step is sent over it.
func (r *run) secured(state tls.ConnectionState) {
	secured := record.TLS{
		Version: strings.TrimPrefix(tls.VersionName(state.Version), "TLS "),
		Server:  certificateOf(state.PeerCertificates[0]), // a server has one, and the handshake checks it
		KeyLog:  strings.ToValidUTF8(r.opts.KeyLog, "\ufffd"),
	}
	if own := tlsdial.Own(r.opts.TLS); own != nil {
		secured.ClientSubject = certificateOf(own).Subject
	}
	r.log.secured(secured)
}

// certificateOf returns what is recorded of a certificate.
func certificateOf(cert *x509.Certificate) record.Certificate {
	info := certificate.NewInfo("", "", cert)
	return record.Certificate{Subject: info.Subject, Issuer: info.Issuer, Serial: info.Serial, NotAfter: info.NotAfter.UTC()}
}
