// Package certtest issues certificates for tests: authorities, certificates with their keys, and
// lists of revoked certificates, as PEM files in the test's temporary folder.
//
// Times are those of time.Now, so that in a bubble of testing/synctest certificates are valid by
// the bubble's clock.
package certtest

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Skew is how long before now certificates begin to be valid, and Lifetime how long they are from
// then on, unless a Template says otherwise.
const (
	Skew     = time.Hour
	Lifetime = 10 * 365 * 24 * time.Hour
)

// A CA issues certificates. It is safe for concurrent use.
type CA struct {
	// Cert is its own certificate.
	Cert *x509.Certificate
	// File is a PEM file with Cert alone.
	File string

	key   crypto.Signer
	chain []*x509.Certificate // what its certificates need behind them: its own, unless it is a root
}

// New returns a root CA with the subject "CN=Test CA" and a P-256 key.
func New(t testing.TB) *CA { t.Helper(); return NewCA(t, Template{CN: "Test CA"}) }

// NewCA returns a root CA with the name, kind of key and dates of a template.
func NewCA(t testing.TB, template Template) *CA {
	t.Helper()
	return newCA(t, nil, template)
}

// Intermediate returns a CA that is certified by this one. The files of its certificates have its
// own certificate after theirs.
func (ca *CA) Intermediate(t testing.TB, template Template) *CA {
	t.Helper()
	return newCA(t, ca, template)
}

func newCA(t testing.TB, parent *CA, template Template) *CA {
	t.Helper()
	key := newKey(t, template.Key)
	cert := template.certificate(true)
	own := &CA{key: key}
	if parent == nil {
		own.Cert = sign(t, cert, cert, key, key)
	} else {
		own.Cert = sign(t, cert, parent.Cert, key, parent.key)
		own.chain = append([]*x509.Certificate{own.Cert}, parent.chain...)
	}
	own.File = write(t, "ca.pem", certificateBlocks(own.Cert)...)
	return own
}

// sign returns a certificate for the key, issued by a parent.
func sign(t testing.TB, template, parent *x509.Certificate, key, parentKey crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// serial returns a random serial number of 64 bits.
func serial() *big.Int {
	var raw [8]byte
	_, _ = rand.Read(raw[:]) // which never fails
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw[:])
}

func name(cn string) pkix.Name { return pkix.Name{CommonName: cn} }

func certificateBlocks(certs ...*x509.Certificate) (blocks []*pem.Block) {
	for _, cert := range certs {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	}
	return blocks
}

// write writes a new PEM file of mode 0600 and returns its path.
func write(t testing.TB, name string, blocks ...*pem.Block) string {
	t.Helper()
	var text []byte
	for _, block := range blocks {
		text = append(text, pem.EncodeToMemory(block)...)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
