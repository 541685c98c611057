package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"
)

// A Key is a kind of key.
type Key int

// Kinds of keys.
const (
	P256 Key = iota
	Ed25519
	RSA // of 2048 bits; all certificates of a test binary share one
)

// A Template says what a certificate is for. The zero value is one for clients and servers with no
// name.
type Template struct {
	CN   string
	URIs []string // such as spiffe://bench.example/station/7
	DNS  []string
	IPs  []string
	Key  Key
	// NotBefore and NotAfter are an hour ago and in ten years if they are zero.
	NotBefore, NotAfter time.Time
	// Usage is what the certificate is for; empty: for clients and servers.
	Usage []x509.ExtKeyUsage
	// Change, if set, changes the certificate before it is signed.
	Change func(*x509.Certificate)
}

// Expired returns the template for a certificate that expired an hour ago.
func (template Template) Expired() Template {
	template.NotBefore = time.Now().Add(-48 * time.Hour)
	template.NotAfter = time.Now().Add(-time.Hour)
	return template
}

// NotYetValid returns the template for a certificate that is valid from tomorrow on.
func (template Template) NotYetValid() Template {
	template.NotBefore = time.Now().Add(24 * time.Hour)
	return template
}

// Issue returns PEM files with a new certificate, followed by the intermediates that it needs, and
// with its key.
func (ca *CA) Issue(t testing.TB, template Template) (certFile, keyFile string) {
	t.Helper()
	key := newKey(t, template.Key)
	cert := sign(t, template.certificate(false), ca.Cert, key, ca.key)
	blocks := certificateBlocks(append([]*x509.Certificate{cert}, ca.chain...)...)
	return write(t, "cert.pem", blocks...), writeKey(t, key)
}

// SelfSigned returns PEM files with a new certificate that is signed by its own key.
func SelfSigned(t testing.TB, template Template) (certFile, keyFile string) {
	t.Helper()
	key := newKey(t, template.Key)
	cert := template.certificate(false)
	return write(t, "cert.pem", certificateBlocks(sign(t, cert, cert, key, key))...), writeKey(t, key)
}

// Leaf returns the first certificate of a PEM file.
func Leaf(t testing.TB, certFile string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("%s has no PEM block", certFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func (template Template) certificate(isCA bool) *x509.Certificate {
	cert := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      name(template.CN),
		NotBefore:    template.NotBefore,
		NotAfter:     template.NotAfter,
		DNSNames:     template.DNS,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  template.Usage,
	}
	if cert.NotBefore.IsZero() {
		cert.NotBefore = time.Now().Add(-Skew)
	}
	if cert.NotAfter.IsZero() {
		cert.NotAfter = cert.NotBefore.Add(Lifetime)
	}
	switch {
	case isCA:
		cert.IsCA, cert.BasicConstraintsValid = true, true
		cert.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	case len(cert.ExtKeyUsage) == 0:
		cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	for _, text := range template.URIs {
		if uri, err := url.Parse(text); err == nil {
			cert.URIs = append(cert.URIs, uri)
		}
	}
	for _, ip := range template.IPs {
		cert.IPAddresses = append(cert.IPAddresses, net.ParseIP(ip))
	}
	if template.Change != nil {
		template.Change(cert)
	}
	return cert
}

var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newKey(t testing.TB, kind Key) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch kind {
	case Ed25519:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case RSA:
		key, err = rsaKey()
	default:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writeKey(t testing.TB, key crypto.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
