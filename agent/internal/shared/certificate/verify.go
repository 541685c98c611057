package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"time"
)

// A VerifyError is why a certificate is refused. Its text names the certificate and the time.
type VerifyError struct {
	// Certificate is what is refused; nil if none was sent.
	Certificate *x509.Certificate
	// Problem says what is wrong with it, after "the client's certificate".
	Problem string
	// Now is the time by which it was judged, and Clock what the machine's clock said.
	Now, Clock time.Time

	whose  string // begins the text
	advice string // what to do; may be empty
}

func (e *VerifyError) Error() string {
	if e.Certificate == nil {
		return e.Problem
	}
	text := e.whose + " " + e.Problem + ": " + Describe(e.Certificate) + "; this machine's clock says " + moment(e.Clock)
	if e.Now.Sub(e.Clock).Abs() >= time.Minute { // and not the time of the handshake itself
		text += ", and the time that counts is " + moment(e.Now)
	}
	if e.advice != "" {
		text += "; " + e.advice
	}
	return text
}

// A side says in sentences whose certificate is checked and against what.
type side struct {
	whose       string
	usage       string // the extended key usage that it needs
	authorities string // which one must have signed it
}

var clientSide = side{"the client's certificate", "clientAuth", "authority of client_ca"}

func (s *Set) refuse(cert *x509.Certificate, problem string) *VerifyError {
	return &VerifyError{Certificate: cert, Problem: problem, Now: s.Now(), Clock: time.Now(), whose: clientSide.whose}
}

// Verify checks the certificate of a client at this time against the authorities, their lists of
// revoked certificates, and what identifies clients. ServerConfig has it called at each handshake;
// call it for open connections when another Set comes into force. It is nil without client_ca. Its
// errors are *VerifyError.
func (s *Set) Verify(state tls.ConnectionState) error {
	if s.pool == nil {
		return nil
	}
	if len(state.PeerCertificates) == 0 {
		return &VerifyError{Problem: noCertificate}
	}
	now := s.Now()
	leaf := state.PeerCertificates[0]
	chains, err := s.chains(state, now)
	if err != nil {
		return verifyError(leaf, err, now, clientSide)
	}
	var problem string
	for _, chain := range chains {
		if problem = s.revocationProblem(chain, now); problem == "" {
			break
		}
	}
	if problem != "" {
		return s.refuse(leaf, problem)
	}
	_, err = s.Identity(state)
	return err
}

// chains returns the chains from a client's certificate to an authority that are valid now. Those
// of the handshake are taken again as long as all of their certificates and the authority are valid:
// signatures stay what they are, and checking them again would cost as much as the client's own.
func (s *Set) chains(state tls.ConnectionState, now time.Time) (chains [][]*x509.Certificate, err error) {
	for _, chain := range state.VerifiedChains {
		outdated := func(cert *x509.Certificate) bool { return now.Before(cert.NotBefore) || now.After(cert.NotAfter) }
		if len(chain) > 0 && !slices.ContainsFunc(chain, outdated) && slices.ContainsFunc(s.clientCAs, chain[len(chain)-1].Equal) {
			chains = append(chains, chain)
		}
	}
	if len(chains) > 0 {
		return chains, nil
	}
	return state.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots:         s.pool,
		Intermediates: newPool(state.PeerCertificates[1:]),
		CurrentTime:   now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// revocationProblem says which certificate of a chain is revoked, or whose list is past where that
// counts; empty for none. An authority that another one certified can be revoked too.
func (s *Set) revocationProblem(chain []*x509.Certificate, now time.Time) string {
	for i, cert := range chain {
		if at := s.revocation(cert); !at.IsZero() && i == 0 {
			return "was revoked at " + moment(at)
		} else if !at.IsZero() {
			return "is issued below " + subject(cert) + ", which was revoked at " + moment(at)
		}
		if past := s.pastList(cert, now); past != nil && s.source.RefuseExpiredCRL {
			return "may be revoked: the list of revoked certificates of " + distinguishedName(past.issuer.Subject) +
				" was due to be replaced at " + moment(past.NextUpdate) + ", and crl_expired is refuse"
		}
	}
	return ""
}

// verifyError makes a sentence of an error of crypto/x509.
func verifyError(cert *x509.Certificate, err error, now time.Time, of side) *VerifyError {
	v := &VerifyError{Certificate: cert, Now: now, Clock: time.Now(), whose: of.whose}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		v.Problem = invalidProblem(v, invalid, of.usage)
		return v
	}
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		v.Problem = "is signed by no " + of.authorities + authorityHint(unknown)
		if isSelfIssued(cert) {
			v.Problem = "is signed by itself and by no " + of.authorities
		}
		return v
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		v.Problem = "is for " + namesOf(cert) + " and not for " + clean(name.Host)
		return v
	}
	v.Problem = "is not valid: " + plain(err)
	return v
}

func invalidProblem(v *VerifyError, invalid x509.CertificateInvalidError, usage string) string {
	switch invalid.Reason {
	case x509.Expired:
		v.Now = judgedAt(invalid, v.Now)
		cert, below := v.Certificate, ""
		if invalid.Cert != nil && !invalid.Cert.Equal(cert) { // an authority is outside its dates
			cert, below = invalid.Cert, "is issued below "+subject(invalid.Cert)+", which "
		}
		if v.Now.Before(cert.NotBefore) {
			return below + "is not valid before " + moment(cert.NotBefore)
		}
		return below + "expired at " + moment(cert.NotAfter)
	case x509.IncompatibleUsage:
		return "is not for this use: its extended key usage lacks " + usage
	}
	return "is not valid: " + plain(invalid)
}

// authorityHint says why an authority with the name of a certificate's issuer does not count, such as
// that it expired; empty if there is none. crypto/x509 says so in its text alone.
func authorityHint(unknown x509.UnknownAuthorityError) string {
	_, hint, found := strings.Cut(unknown.Error(), `(possibly because of "`)
	why, name, complete := strings.Cut(strings.TrimSuffix(hint, ")"), `" while trying to verify candidate authority certificate `)
	if !found || !complete {
		return ""
	}
	return " (not by " + clean(name) + ": " + clean(strings.TrimPrefix(why, "x509: ")) + ")"
}

// judgedAt returns the time by which crypto/x509 found a certificate outside its dates, from
// "current time 2026-01-02T15:04:05Z is after ..."; the other time if its text is another.
func judgedAt(invalid x509.CertificateInvalidError, otherwise time.Time) time.Time {
	words := strings.Fields(invalid.Detail)
	if len(words) < 3 {
		return otherwise
	}
	at, err := time.Parse(time.RFC3339, words[2])
	if err != nil {
		return otherwise
	}
	return at
}

// namesOf returns the names for which a server's certificate is.
func namesOf(cert *x509.Certificate) string {
	if names := sans(cert); len(names) > 0 {
		return enumerate(names)
	}
	return "no name (it has no subject alternative names)"
}
