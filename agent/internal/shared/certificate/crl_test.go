package certificate_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestCRLProblems: lists that cannot be used are named by their issuer.
func TestCRLProblems(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	other := certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	delta := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	indirect := x509.RevocationListEntry{SerialNumber: big.NewInt(1), RevocationTime: time.Now(), ExtraExtensions: []pkix.Extension{
		{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}}
	raw := func(change func(*x509.RevocationList)) []byte {
		now := time.Now()
		list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
		change(list)
		return block("X509 CRL", ca.SignCRL(t, list))
	}
	valid := read(t, ca.CRL(t))
	for name, test := range map[string]struct {
		text []byte
		want []string
	}{
		"PEM":         {valid, nil},
		"DER":         {der(t, valid), nil},
		"several":     {bytes.Join([][]byte{valid, read(t, other.CRL(t)), valid}, nil), nil},
		"other CA":    {bytes.Join([][]byte{valid, read(t, certtest.NewCA(t, certtest.Template{CN: "Third CA"}).CRL(t))}, nil), []string{"crl ", ": the list of CN=Third CA is signed by no authority of client_ca; add that authority to client_ca, or remove the list"}},
		"other key":   {read(t, certtest.New(t).CRL(t)), []string{": the list of CN=Test CA is signed by no authority of client_ca; the one of that name did not sign it: "}},
		"certificate": {read(t, ca.File), []string{": holds no list of revoked certificates (X509 CRL), only CERTIFICATE"}},
		"half":        {valid[:len(valid)/2], []string{": has 1 PEM blocks, of which 1 are incomplete"}},
		"half DER":    {der(t, valid)[:100], []string{": cannot be read as a list of revoked certificates: "}},
		"damaged":     {block("X509 CRL", []byte{0x30, 1}), []string{": cannot be read as a list of revoked certificates: malformed crl"}},
		"delta":       {raw(func(list *x509.RevocationList) { list.ExtraExtensions = append(list.ExtraExtensions, delta) }), []string{": the list of CN=Test CA has only what is new since an earlier one (a delta CRL); use the complete list"}},
		"indirect":    {raw(func(list *x509.RevocationList) { list.RevokedCertificateEntries = []x509.RevocationListEntry{indirect} }), []string{": the list of CN=Test CA names certificates of other authorities (an indirect CRL)"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := newSource(t, ca, agentCert())
			source.ClientCA = write(t, "ca.pem", read(t, ca.File), read(t, other.File))
			source.CRL = write(t, "crl", test.text)
			_, err := certificate.Load(source)
			wantError(t, err, test.want...)
		})
	}
}

// TestLists: of several lists of one key of an authority the newest counts, and the lists of all keys
// with the authority's name count, as when it has a new key.
func TestLists(t *testing.T) {
	t.Parallel()
	ca, renewed := certtest.New(t), certtest.New(t) // of one name
	other := certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	certFile, _ := ca.Issue(t, clientCert())
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{certtest.Leaf(t, certFile)}}
	list := func(ca *certtest.CA, age, left time.Duration, serials ...int64) []byte {
		now := time.Now()
		raw := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: now.Add(-age), NextUpdate: now.Add(left)}
		for _, n := range serials {
			raw.RevokedCertificateEntries = append(raw.RevokedCertificateEntries,
				x509.RevocationListEntry{SerialNumber: big.NewInt(n), RevocationTime: now.Add(-age)})
		}
		return block("X509 CRL", ca.SignCRL(t, raw))
	}
	const station = 0x3af0
	for name, test := range map[string]struct {
		lists [][]byte
		want  []string
	}{
		"newer first":       {[][]byte{list(ca, time.Hour, time.Hour, station), list(ca, 2*time.Hour, time.Hour)}, []string{"was revoked at "}},
		"older first":       {[][]byte{list(ca, 2*time.Hour, time.Hour), list(ca, time.Hour, time.Hour, station)}, []string{"was revoked at "}},
		"no longer":         {[][]byte{list(ca, 2*time.Hour, time.Hour, station), list(ca, time.Hour, time.Hour)}, nil},
		"of the new key":    {[][]byte{list(ca, time.Hour, time.Hour), list(renewed, time.Minute, time.Hour, station)}, []string{"was revoked at "}},
		"of the old key":    {[][]byte{list(ca, time.Hour, time.Hour, station), list(renewed, time.Minute, time.Hour)}, []string{"was revoked at "}},
		"one of two past":   {[][]byte{list(ca, time.Hour, -time.Minute), list(renewed, time.Minute, time.Hour)}, nil},
		"both past":         {[][]byte{list(ca, time.Hour, -time.Minute), list(renewed, time.Hour, -time.Minute)}, []string{"may be revoked: the list of revoked certificates of CN=Test CA was due"}},
		"another CA's past": {[][]byte{list(other, time.Hour, -time.Minute)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := newSource(t, ca, agentCert())
			source.ClientCA = write(t, "ca.pem", read(t, ca.File), read(t, renewed.File), read(t, other.File))
			source.CRL, source.RefuseExpiredCRL = write(t, "crl.pem", test.lists...), true
			wantError(t, mustLoad(t, source).Verify(state), test.want...)
		})
	}
}
