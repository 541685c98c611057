package certificate

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// WarnDays is how many days before its end a certificate or a list is warned of.
const WarnDays = 30

// Warnings returns what an operator should know of the files although they are usable, as sentences.
// Hosts are the names and addresses at which clients reach the agent; those that stand for all
// addresses, such as 0.0.0.0, are passed over.
func (s *Set) Warnings(hosts []string) []string {
	now := s.Now()
	warnings := slices.Clone(s.noted)
	if clock := time.Now(); now.After(clock) {
		warnings = append(warnings, fmt.Sprintf("this machine's clock says %s, which is surely past; certificates are judged by %s "+
			"until it is right", moment(clock), moment(now)))
	}
	warnings = append(warnings, s.ownWarnings(hosts)...)
	for _, authority := range s.clientCAs {
		if authority.BasicConstraintsValid && !authority.IsCA {
			warnings = append(warnings, fmt.Sprintf("client_ca %s holds the certificate of no CA, which is trusted alone: %s",
				s.source.ClientCA, Describe(authority)))
		}
	}
	for _, info := range s.Infos() {
		warnings = append(warnings, s.dateWarnings(info, now)...)
	}
	if s.keyMode.Perm()&0o007 != 0 {
		warnings = append(warnings, fmt.Sprintf("others can use the key file %s, its mode is %04o; chmod o= %s",
			s.source.Key, s.keyMode.Perm(), s.source.Key))
	}
	return warnings
}

// dateWarnings warn of the dates of a certificate or a list.
func (s *Set) dateWarnings(info Info, now time.Time) []string {
	days := info.DaysLeft(now)
	switch what := info.Role + " " + info.File + " (" + info.Subject + ")"; {
	case info.Role == "crl" && days < 0 && s.source.RefuseExpiredCRL:
		return []string{"the list of revoked certificates of " + info.Subject + " was due to be replaced at " + moment(info.NotAfter) +
			"; until it is, the clients of that CA are refused (crl_expired)"}
	case info.Role == "crl" && days < 0:
		return []string{"the list of revoked certificates of " + info.Subject + " was due to be replaced at " + moment(info.NotAfter) +
			"; certificates that were revoked since are accepted (crl_expired)"}
	case info.Role == "crl":
		return nil // it lives for days
	case days < 0:
		return []string{what + " expired at " + moment(info.NotAfter) + "; replace it"}
	case now.Before(info.NotBefore):
		return []string{what + " is not valid before " + moment(info.NotBefore)}
	case days < WarnDays:
		return []string{fmt.Sprintf("%s expires in %s, at %s; replace it", what, countDays(days), moment(info.NotAfter))}
	}
	return nil
}

func countDays(days int) string {
	switch days {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", days)
}

// ownWarnings warn of what clients may refuse in the agent's own certificate, and of its cost.
func (s *Set) ownWarnings(hosts []string) (warnings []string) {
	leaf, file := s.own.Leaf, s.source.Certificate
	if _, isRSA := leaf.PublicKey.(*rsa.PublicKey); isRSA {
		warnings = append(warnings, file+" has an RSA key, with which a handshake takes the agent more than twice the processor "+
			"time; P-256 and Ed25519 are faster")
	}
	forServers := func(usage x509.ExtKeyUsage) bool {
		return usage == x509.ExtKeyUsageServerAuth || usage == x509.ExtKeyUsageAny
	}
	if len(leaf.ExtKeyUsage) > 0 && !slices.ContainsFunc(leaf.ExtKeyUsage, forServers) {
		warnings = append(warnings, file+" is not for servers, so that clients refuse it; its extended key usage lacks serverAuth")
	}
	var missing []string
	for _, host := range hosts {
		if !isAnyAddress(host) && leaf.VerifyHostname(host) != nil {
			missing = append(missing, host)
		}
	}
	if len(missing) > 0 {
		warnings = append(warnings, fmt.Sprintf("%s is for %s and not for %s; clients that connect there refuse it, unless they say "+
			"which name it has (stepctl: --server-name)", file, namesOf(leaf), enumerate(missing)))
	}
	if issuer := s.missingIssuer(); issuer != "" {
		warnings = append(warnings, fmt.Sprintf("%s ends with a certificate of %s, which is no root; add the certificate of that one",
			file, issuer))
	}
	return warnings
}

// isAnyAddress reports whether a host stands for all addresses of the machine.
func isAnyAddress(host string) bool {
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || err == nil && ip.IsUnspecified()
}

// missingIssuer names the issuer that the agent's chain needs and does not have; empty if it is
// complete or that is not known, as of an issuer that may be a root.
func (s *Set) missingIssuer() string {
	chain := make([]*x509.Certificate, 0, len(s.own.Certificate))
	for _, der := range s.own.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil { // as Load has parsed it
			chain = append(chain, cert)
		}
	}
	chain, linked := order(chain, 0)
	last := chain[linked-1]
	if isSelfIssued(last) {
		return ""
	}
	signed := func(authority *x509.Certificate) bool { return issued(authority, last) }
	if i := slices.IndexFunc(s.clientCAs, signed); i >= 0 {
		if isSelfIssued(s.clientCAs[i]) {
			return ""
		}
		return distinguishedName(last.Issuer)
	}
	// Authorities that say where their own certificate is have a root above them.
	options := x509.VerifyOptions{CurrentTime: s.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if len(last.IssuingCertificateURL) == 0 {
		return ""
	}
	if _, err := last.Verify(options); err == nil {
		return ""
	}
	return distinguishedName(last.Issuer)
}
