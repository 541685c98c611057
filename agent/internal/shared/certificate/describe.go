package certificate

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// maxShown is the length of the longest name from a certificate that is shown, in bytes.
const maxShown = 256

// An Info is what status and check-config show of a certificate or of a list of revoked ones.
type Info struct {
	// Role is the setting that names the file: certificate, client_ca or crl.
	Role string `json:"role"`
	File string `json:"file"`
	// Subject of a list is its issuer.
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	// Serial is in hex, as openssl shows it; empty for a list.
	Serial string `json:"serial,omitempty"`
	// NotBefore and NotAfter of a list are the time of its issue and that at which the next one is
	// due; the latter is zero if it says none.
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after,omitzero"`
}

// DaysLeft returns how many whole days are left until NotAfter: 0 on the last day, negative from
// the moment at which it is past. It is math.MaxInt32 if NotAfter is zero.
func (i Info) DaysLeft(now time.Time) int {
	if i.NotAfter.IsZero() {
		return math.MaxInt32
	}
	const day = 24 * 60 * 60
	seconds := i.NotAfter.Unix() - now.Unix() // a Duration ends after 292 years
	if seconds < 0 {
		return int((seconds - day + 1) / day)
	}
	return int(seconds / day)
}

// Infos returns the agent's own certificate, the authorities of clients and their lists of revoked
// certificates, in this order.
func (s *Set) Infos() []Info {
	infos := []Info{NewInfo("certificate", s.source.Certificate, s.own.Leaf)}
	for _, authority := range s.clientCAs {
		infos = append(infos, NewInfo("client_ca", s.source.ClientCA, authority))
	}
	for _, list := range s.lists {
		issuer := distinguishedName(list.issuer.Subject)
		infos = append(infos, Info{Role: "crl", File: s.source.CRL, Subject: issuer, Issuer: issuer,
			NotBefore: list.ThisUpdate, NotAfter: list.NextUpdate})
	}
	return infos
}

// NewInfo returns what is shown of a certificate: clean, and of bounded length.
func NewInfo(role, file string, cert *x509.Certificate) Info {
	return Info{role, file, subject(cert), distinguishedName(cert.Issuer), serialText(cert.SerialNumber), cert.NotBefore, cert.NotAfter}
}

// Describe names a certificate: "CN=x, issued by CN=y, serial 3A:F0, valid 2026-01-02 to 2027-01-02".
// What came from the certificate is clean and of bounded length.
func Describe(cert *x509.Certificate) string {
	return subject(cert) + ", issued by " + distinguishedName(cert.Issuer) + ", serial " + serialText(cert.SerialNumber) +
		", valid " + cert.NotBefore.UTC().Format(time.DateOnly) + " to " + cert.NotAfter.UTC().Format(time.DateOnly)
}

// subject returns the name of a certificate's subject, which of certificates with an identity as a
// SAN may be empty.
func subject(cert *x509.Certificate) string {
	if name := cert.Subject.String(); name != "" {
		return clean(name)
	}
	if names := sans(cert); len(names) > 0 {
		return clean(names[0])
	}
	return distinguishedName(cert.Subject)
}

// sans returns the subject alternative names of a certificate: URIs, DNS names and addresses.
func sans(cert *x509.Certificate) (names []string) {
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	names = append(names, cert.DNSNames...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

func distinguishedName(name pkix.Name) string {
	if text := name.String(); text != "" {
		return clean(text)
	}
	return "(no name)"
}

// serialText returns a serial number as openssl shows it: bytes in hex, separated by colons.
func serialText(serial *big.Int) string {
	raw := serial.Bytes()
	if len(raw) == 0 {
		return "00"
	}
	const digits = "0123456789ABCDEF"
	var text strings.Builder
	for i, b := range raw[:min(len(raw), maxShown/3)] {
		if i > 0 {
			text.WriteByte(':')
		}
		text.WriteByte(digits[b>>4])
		text.WriteByte(digits[b&15])
	}
	return text.String()
}

// clean makes text from outside safe to print and at most maxShown bytes long.
func clean(text string) string {
	if len(text) > maxShown {
		end := maxShown
		for end > maxShown-utf8.UTFMax && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "..."
	}
	return logging.Clean(text)
}

// moment returns a time for sentences.
func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }
