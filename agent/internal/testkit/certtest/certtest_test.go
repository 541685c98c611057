package certtest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// TestIssue: certificates of each kind of key have their names, verify with their CA, and belong to
// their keys.
func TestIssue(t *testing.T) {
	t.Parallel()
	root := certtest.New(t)
	for name, ca := range map[string]*certtest.CA{"root": root, "intermediate": root.Intermediate(t, certtest.Template{CN: "Lower"})} {
		for _, kind := range []certtest.Key{certtest.P256, certtest.Ed25519, certtest.RSA} {
			certFile, keyFile := ca.Issue(t, certtest.Template{CN: "x", DNS: []string{"x.example"}, IPs: []string{"10.0.0.7", "::1"},
				URIs: []string{"spiffe://x.example/7"}, Key: kind})
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				t.Fatal(err)
			}
			leaf := certtest.Leaf(t, certFile)
			options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
			options.Roots.AddCert(root.Cert)
			for _, der := range pair.Certificate[1:] {
				intermediate, err := x509.ParseCertificate(der)
				if err != nil {
					t.Fatal(err)
				}
				options.Intermediates.AddCert(intermediate)
			}
			for _, options.DNSName = range []string{"x.example", "10.0.0.7", "::1"} {
				if _, err := leaf.Verify(options); err != nil {
					t.Errorf("%s, key %d, %s: %v", name, kind, options.DNSName, err)
				}
			}
			if leaf.URIs[0].String() != "spiffe://x.example/7" || leaf.Subject.CommonName != "x" {
				t.Errorf("got %v, %v", leaf.URIs, leaf.Subject)
			}
		}
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	for name, test := range map[string]struct {
		template certtest.Template
		valid    bool
	}{
		"now":           {certtest.Template{}, true},
		"expired":       {certtest.Template{}.Expired(), false},
		"not yet valid": {certtest.Template{}.NotYetValid(), false},
	} {
		certFile, _ := ca.Issue(t, test.template)
		leaf := certtest.Leaf(t, certFile)
		if now := time.Now(); test.valid != (now.After(leaf.NotBefore) && now.Before(leaf.NotAfter)) || !leaf.NotBefore.Before(leaf.NotAfter) {
			t.Errorf("%s: valid from %v to %v", name, leaf.NotBefore, leaf.NotAfter)
		}
	}
}

func TestCRL(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	certFile, _ := certtest.SelfSigned(t, certtest.Template{})
	revoked := certtest.Leaf(t, certFile).SerialNumber
	for name, file := range map[string]string{
		"current": ca.CRL(t, revoked),
		"past":    ca.CRLUntil(t, time.Now().Add(-24*time.Hour), revoked),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if err := list.CheckSignatureFrom(ca.Cert); err != nil {
			t.Error(name, err)
		}
		if past := time.Now().After(list.NextUpdate); past != (name == "past") || len(list.RevokedCertificateEntries) != 1 ||
			list.RevokedCertificateEntries[0].SerialNumber.Cmp(revoked) != 0 {
			t.Errorf("%s: %+v", name, list)
		}
	}
}
