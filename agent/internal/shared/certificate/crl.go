package certificate

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"iter"
	"slices"
	"time"
)

// A revocationList is what is kept of a list of revoked certificates (RFC 5280, section 5).
type revocationList struct {
	issuer     *x509.Certificate // which signed it
	ThisUpdate time.Time
	NextUpdate time.Time // zero if it says none
	// revoked has the time of revocation of each certificate by its serial number, in hex.
	revoked map[string]time.Time
}

// isPast reports whether the list should have been replaced.
func (l *revocationList) isPast(now time.Time) bool {
	return !l.NextUpdate.IsZero() && now.After(l.NextUpdate)
}

// revocationLists returns the newest list in a file of each key of an authority.
func (r *reader) revocationLists(role, path string, authorities []*x509.Certificate) (lists []*revocationList) {
	c, ok := r.read(role, path)
	if !ok {
		return nil
	}
	for _, der := range r.rawLists(c) {
		list, problem := parseList(der, authorities)
		if problem != "" {
			r.fail(role, path, "%s", problem)
			continue
		}
		same := func(l *revocationList) bool { return l.issuer.Equal(list.issuer) }
		switch i := slices.IndexFunc(lists, same); {
		case i < 0:
			lists = append(lists, list)
		case list.ThisUpdate.After(lists[i].ThisUpdate):
			lists[i] = list
		}
	}
	return lists
}

// rawLists returns the lists of a file in DER.
func (r *reader) rawLists(c content) (ders [][]byte) {
	if isDER(c.text) {
		return [][]byte{c.text}
	}
	var others []string
	for _, block := range r.blocks(c, "crl") {
		if block.Type == "X509 CRL" {
			ders = append(ders, block.Bytes)
		} else {
			others = append(others, block.Type)
		}
	}
	if len(ders) == 0 && len(others) > 0 {
		r.fail(c.role, c.path, "holds no list of revoked certificates (X509 CRL), only %s", enumerate(distinct(others)))
	}
	return ders
}

var (
	oidDelta             = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidCertificateIssuer = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// parseList returns a list in DER if one of the authorities signed it, or what is wrong with it.
func parseList(der []byte, authorities []*x509.Certificate) (parsed *revocationList, problem string) {
	raw, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, "cannot be read as a list of revoked certificates: " + plain(err)
	}
	has := func(extensions []pkix.Extension, id asn1.ObjectIdentifier) bool {
		return slices.ContainsFunc(extensions, func(e pkix.Extension) bool { return e.Id.Equal(id) })
	}
	issuer := distinguishedName(raw.Issuer)
	if has(raw.Extensions, oidDelta) {
		return nil, "the list of " + issuer + " has only what is new since an earlier one (a delta CRL); use the complete list"
	}
	signer, why := signerOf(raw, authorities)
	if signer == nil {
		return nil, "the list of " + issuer + " is signed by no authority of client_ca" + why
	}
	parsed = &revocationList{issuer: signer, ThisUpdate: raw.ThisUpdate, NextUpdate: raw.NextUpdate,
		revoked: make(map[string]time.Time, len(raw.RevokedCertificateEntries))}
	for _, entry := range raw.RevokedCertificateEntries {
		if has(entry.Extensions, oidCertificateIssuer) {
			return nil, "the list of " + issuer + " names certificates of other authorities (an indirect CRL); " +
				"use the list of each authority"
		}
		parsed.revoked[entry.SerialNumber.Text(16)] = entry.RevocationTime
	}
	return parsed, ""
}

// signerOf returns the authority that signed a list, or nil and a text that says more.
func signerOf(raw *x509.RevocationList, authorities []*x509.Certificate) (signer *x509.Certificate, why string) {
	why = "; add that authority to client_ca, or remove the list"
	for _, authority := range authorities {
		if !bytes.Equal(raw.RawIssuer, authority.RawSubject) {
			continue
		}
		err := raw.CheckSignatureFrom(authority)
		if err == nil {
			return authority, ""
		}
		if authority.KeyUsage != 0 && authority.KeyUsage&x509.KeyUsageCRLSign == 0 {
			why = "; the one of that name may sign none: its key usage lacks cRLSign"
		} else {
			why = "; the one of that name did not sign it: " + plain(err)
		}
	}
	return nil, why
}

// revocation returns when a certificate was revoked; zero if it was not.
func (s *Set) revocation(cert *x509.Certificate) time.Time {
	for list := range s.listsOf(cert) {
		if at, revoked := list.revoked[cert.SerialNumber.Text(16)]; revoked {
			return at
		}
	}
	return time.Time{}
}

// pastList returns a list of the authority that issued a certificate if that authority has lists, and
// all of them should have been replaced; else nil.
func (s *Set) pastList(cert *x509.Certificate, now time.Time) (past *revocationList) {
	for list := range s.listsOf(cert) {
		if !list.isPast(now) {
			return nil
		}
		past = list
	}
	return past
}

// listsOf goes through the lists of the authority that issued a certificate: one for each key of it.
func (s *Set) listsOf(cert *x509.Certificate) iter.Seq[*revocationList] {
	return func(yield func(*revocationList) bool) {
		for _, list := range s.lists {
			if bytes.Equal(list.issuer.RawSubject, cert.RawIssuer) && !yield(list) {
				return
			}
		}
	}
}
