package certificate

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIdentityBytes is the length of the longest identity.
const MaxIdentityBytes = 256

// identityNames find a name of one kind in a certificate; empty if it has none.
var identityNames = map[string]func(*x509.Certificate) (string, error){
	"uri": spiffeID,
	"dns": func(cert *x509.Certificate) (string, error) {
		if len(cert.DNSNames) == 0 {
			return "", nil
		}
		return cert.DNSNames[0], nil
	},
	"cn": func(cert *x509.Certificate) (string, error) { return cert.Subject.CommonName, nil },
}

// spiffeID returns the URI that names a workload. A certificate with one has no other URI (X509-SVID,
// section 2); one without a spiffe URI has no identity of this kind, unless it has several URIs, of
// which none can be chosen.
func spiffeID(cert *x509.Certificate) (string, error) {
	switch {
	case len(cert.URIs) == 0:
		return "", nil
	case len(cert.URIs) > 1:
		return "", fmt.Errorf("has %d URIs as subject alternative names, and only one identifies a client", len(cert.URIs))
	case !strings.EqualFold(cert.URIs[0].Scheme, "spiffe"):
		return "", nil
	}
	return cert.URIs[0].String(), nil
}

// Identity returns the name that identifies a client, the first of Source.Identity that its
// certificate has; empty without a certificate. It is an error if the certificate has none of
// them, or one that is not printable or longer than MaxIdentityBytes.
func (s *Set) Identity(state tls.ConnectionState) (string, error) {
	if len(state.PeerCertificates) == 0 {
		return "", nil
	}
	leaf := state.PeerCertificates[0]
	identity, err := identify(leaf, s.source.Identity)
	if err != nil {
		return "", s.refuse(leaf, err.Error())
	}
	return identity, nil
}

func identify(cert *x509.Certificate, kinds []string) (string, error) {
	for _, kind := range kinds {
		identity, err := identityNames[kind](cert)
		if err != nil {
			return "", err
		}
		if identity == "" {
			continue
		}
		if err := checkIdentity(kind, identity); err != nil {
			return "", err
		}
		return identity, nil
	}
	return "", fmt.Errorf("has none of the names that identify a client (%s in tls.identity)", enumerate(kinds))
}

func checkIdentity(kind, identity string) error {
	switch {
	case len(identity) > MaxIdentityBytes:
		return fmt.Errorf("has an identity (%s) of %d bytes, %d are allowed", kind, len(identity), MaxIdentityBytes)
	case !utf8.ValidString(identity) || strings.ContainsFunc(identity, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("has an identity (%s) with characters that are not printable: %s", kind, clean(identity))
	}
	return nil
}
