package certtest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// CRL returns a PEM file with a list of revoked certificates of this CA, by their serial numbers. It
// is from an hour ago and due to be replaced tomorrow.
func (ca *CA) CRL(t testing.TB, serials ...*big.Int) string {
	t.Helper()
	return ca.CRLUntil(t, time.Now().Add(24*time.Hour), serials...)
}

// CRLUntil is CRL with the time at which the next list is due. If that is past, the list is from a
// day before it.
func (ca *CA) CRLUntil(t testing.TB, nextUpdate time.Time, serials ...*big.Int) string {
	t.Helper()
	issued := time.Now().Add(-Skew)
	if !issued.Before(nextUpdate) {
		issued = nextUpdate.Add(-24 * time.Hour)
	}
	list := &x509.RevocationList{Number: big.NewInt(issued.Unix()), ThisUpdate: issued, NextUpdate: nextUpdate}
	for _, serial := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: serial, RevocationTime: issued})
	}
	return write(t, "crl.pem", &pem.Block{Type: "X509 CRL", Bytes: ca.SignCRL(t, list)})
}

// SignCRL returns a list of revoked certificates in DER, signed by this CA.
func (ca *CA) SignCRL(t testing.TB, list *x509.RevocationList) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, list, ca.Cert, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
