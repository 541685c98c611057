package certificate

import (
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// isOneLine reports whether a text is safe to print as a line and not long.
func isOneLine(text string) bool {
	return utf8.ValidString(text) && len(text) < 16<<10 && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// FuzzCertificates: any file gives certificates or a problem, and what is said of either is one line
// of bounded length.
func FuzzCertificates(f *testing.F) {
	ca := certtest.New(f)
	cert, key := ca.Issue(f, certtest.Template{CN: "station\n7", URIs: []string{"spiffe://bench.example/7"}, DNS: []string{"a.example"}})
	f.Add(readFile(f, cert))
	f.Add(readFile(f, key))
	f.Add(append(readFile(f, cert), readFile(f, key)...))
	f.Add(certtest.Leaf(f, cert).Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r reader
		certs, _ := r.certificates(content{role: "certificate", path: "cert.pem", text: text})
		if (len(certs) == 0) != (len(r.problems) == 1) {
			t.Errorf("%d certificates with problems %v", len(certs), r.problems)
		}
		if key := r.key(content{role: "key", path: "key.pem", text: text}); key == nil && len(r.problems) == 0 {
			t.Error("no key and no problem")
		}
		for _, problem := range r.problems {
			if !isOneLine(problem.Error()) {
				t.Errorf("problem %q", problem)
			}
		}
		for _, cert := range certs {
			checkCertificate(t, cert)
		}
		if len(certs) > 0 {
			if chain, linked := order(certs, len(certs)-1); len(chain) != len(certs) || linked < 1 || linked > len(chain) {
				t.Errorf("%d certificates in order, %d of them linked, of %d", len(chain), linked, len(certs))
			}
		}
	})
}

func checkCertificate(t *testing.T, cert *x509.Certificate) {
	t.Helper()
	texts := []string{Describe(cert), namesOf(cert)}
	for _, kinds := range [][]string{{"uri"}, {"dns"}, {"cn"}, {"uri", "dns", "cn"}} {
		identity, err := identify(cert, kinds)
		if err != nil {
			texts = append(texts, err.Error())
		} else if identity == "" || len(identity) > MaxIdentityBytes {
			t.Errorf("identity %q", identity)
		}
		texts = append(texts, identity)
	}
	now := time.Unix(1e9, 0)
	_, err := cert.Verify(x509.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: now})
	texts = append(texts, verifyError(cert, err, now, clientSide).Error())
	for _, text := range texts {
		if !isOneLine(text) {
			t.Errorf("text %q", text)
		}
	}
}

// FuzzRevocationLists: any file gives lists of the authority that signed them, or a problem.
func FuzzRevocationLists(f *testing.F) {
	ca := certtest.New(f)
	path := ca.CRL(f, ca.Cert.SerialNumber)
	f.Add(readFile(f, path))
	f.Add(ca.SignCRL(f, &x509.RevocationList{Number: ca.Cert.SerialNumber, ThisUpdate: ca.Cert.NotBefore, NextUpdate: ca.Cert.NotAfter}))
	f.Add(readFile(f, ca.File))
	f.Fuzz(func(t *testing.T, text []byte) {
		var r reader
		ders := r.rawLists(content{role: "crl", path: "crl.pem", text: text})
		if (len(ders) == 0) != (len(r.problems) == 1) {
			t.Errorf("%d lists with problems %v", len(ders), r.problems)
		}
		for _, der := range ders {
			list, problem := parseList(der, []*x509.Certificate{ca.Cert})
			if (list == nil) != (problem != "") || !isOneLine(problem) {
				t.Errorf("list %v with problem %q", list, problem)
			}
			if list != nil && list.issuer != ca.Cert {
				t.Error("a list of another authority is accepted")
			}
		}
	})
}
