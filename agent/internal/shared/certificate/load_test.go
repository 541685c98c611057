package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/testkit/certtest"
)

// parts are files of an agent and what else a test mixes them from.
type parts struct {
	certificate.Source
	cert, key, ca []byte
	issuer        *certtest.CA
}

func der(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM block in %q", text)
	}
	return block.Bytes
}

func block(kind string, raw []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw})
}

// TestFileProblems: each unusable file is named by its role and path, with what is wrong and what
// to do.
func TestFileProblems(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, p *parts)
		want   []string // of the error; none: the files are usable
	}{
		"usable": {func(*testing.T, *parts) {}, nil},
		"comments": {func(t *testing.T, p *parts) {
			p.Certificate = write(t, "c", []byte("a certificate:\n"), p.cert, []byte("\nend\n"))
		}, nil},
		"one file of both": {func(t *testing.T, p *parts) { p.Certificate = write(t, "both", p.key, p.cert); p.Key = p.Certificate }, nil},
		"EC PARAMETERS": {func(t *testing.T, p *parts) {
			p.Key = write(t, "k", block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}), p.key)
		}, nil},
		"SEC 1": {func(t *testing.T, p *parts) {
			key, err := x509.ParsePKCS8PrivateKey(der(t, p.key))
			if err != nil {
				t.Fatal(err)
			}
			raw, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
			if err != nil {
				t.Fatal(err)
			}
			p.Key = write(t, "k", block("EC PRIVATE KEY", raw))
		}, nil},
		"PKCS 1": {func(t *testing.T, p *parts) {
			p.Certificate, p.Key = p.issuer.Issue(t, certtest.Template{Key: certtest.RSA})
			key, err := x509.ParsePKCS8PrivateKey(der(t, read(t, p.Key)))
			if err != nil {
				t.Fatal(err)
			}
			p.Key = write(t, "k", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key.(*rsa.PrivateKey))))
		}, nil},
		"no file":      {func(_ *testing.T, p *parts) { p.Certificate = "/none/cert.pem" }, []string{"certificate /none/cert.pem: there is no such file; correct the path, or put the file there"}},
		"no files":     {func(_ *testing.T, p *parts) { p.Key, p.ClientCA, p.CRL = "/none/1", "/none/2", "/none/3" }, []string{"key /none/1: there", "client_ca /none/2: there", "crl /none/3: there"}},
		"a folder":     {func(t *testing.T, p *parts) { p.Key = t.TempDir() }, []string{"key ", ": is not a file; name the file itself"}},
		"empty":        {func(t *testing.T, p *parts) { p.Certificate = write(t, "c") }, []string{"certificate ", ": is empty; write it anew, and rename it into its place when it is complete"}},
		"half a key":   {func(t *testing.T, p *parts) { p.Key = write(t, "k", p.key[:len(p.key)/2]) }, []string{"key ", ": has 1 PEM blocks, of which 1 are incomplete or damaged; write it anew"}},
		"half a chain": {func(t *testing.T, p *parts) { p.Certificate = write(t, "c", p.cert, p.ca[:len(p.ca)/2]) }, []string{"certificate ", ": has 2 PEM blocks, of which 1 are incomplete"}},
		"damaged": {func(t *testing.T, p *parts) {
			p.ClientCA = write(t, "c", bytes.Replace(p.ca, []byte("MII"), []byte("!!!"), 1))
		}, []string{"client_ca ", "incomplete or damaged"}},
		"text":            {func(t *testing.T, p *parts) { p.Certificate = write(t, "c", []byte("hello\n")) }, []string{`certificate `, `: is no PEM file: it has no line that begins with "-----BEGIN"`}},
		"DER certificate": {func(t *testing.T, p *parts) { p.Certificate = write(t, "c.der", der(t, p.cert)) }, []string{"certificate ", ": is binary (DER or PKCS #12), and PEM is wanted; convert DER with: openssl x509 -inform DER -in "}},
		"DER key":         {func(t *testing.T, p *parts) { p.Key = write(t, "k.der", der(t, p.key)) }, []string{"key ", "convert DER with: openssl pkey -inform DER -in "}},
		"DER Ed25519 key": {func(t *testing.T, p *parts) {
			_, key := p.issuer.Issue(t, certtest.Template{Key: certtest.Ed25519})
			p.Key = write(t, "k.der", der(t, read(t, key)))
		}, []string{"key ", "convert DER with: openssl pkey -inform DER -in "}},
		"DER CA":         {func(t *testing.T, p *parts) { p.ClientCA = write(t, "ca.der", der(t, p.ca)) }, []string{"client_ca ", "convert DER with: openssl x509"}},
		"swapped":        {func(_ *testing.T, p *parts) { p.Certificate, p.Key = p.Key, p.Certificate }, []string{": holds no certificate, only PRIVATE KEY; are the files of certificate and key swapped?", ": holds no private key but a certificate; are the files of certificate and key swapped?"}},
		"request":        {func(t *testing.T, p *parts) { p.Certificate = write(t, "c", block("CERTIFICATE REQUEST", []byte{1})) }, []string{": holds no certificate, only CERTIFICATE REQUEST, which asks for one; have it signed by the CA"}},
		"trusted":        {func(t *testing.T, p *parts) { p.Certificate = write(t, "c", block("TRUSTED CERTIFICATE", []byte{1})) }, []string{"only TRUSTED CERTIFICATE, OpenSSL's own form; convert it with: openssl x509"}},
		"no certificate": {func(t *testing.T, p *parts) { p.Certificate = write(t, "c", block("CERTIFICATE", []byte{1})) }, []string{"its certificate 1 cannot be read: malformed certificate"}},
		"encrypted":      {func(t *testing.T, p *parts) { p.Key = write(t, "k", block("ENCRYPTED PRIVATE KEY", []byte{1})) }, []string{"key ", ": is encrypted, and no passphrase is asked for; write it without one"}},
		"encrypted, old": {func(t *testing.T, p *parts) {
			p.Key = write(t, "k", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte{1}}))
		}, []string{"key ", ": is encrypted"}},
		"OpenSSH":       {func(t *testing.T, p *parts) { p.Key = write(t, "k", block("OPENSSH PRIVATE KEY", []byte{1})) }, []string{": is a key of OpenSSH; use one that openssl has made"}},
		"public key":    {func(t *testing.T, p *parts) { p.Key = write(t, "k", block("PUBLIC KEY", []byte{1})) }, []string{": holds no private key, only PUBLIC KEY"}},
		"two keys":      {func(t *testing.T, p *parts) { p.Key = write(t, "k", p.key, p.key) }, []string{": holds 2 private keys; leave only that of the certificate"}},
		"no key":        {func(t *testing.T, p *parts) { p.Key = write(t, "k", block("PRIVATE KEY", []byte{1})) }, []string{": its private key cannot be read: "}},
		"P-224":         {func(t *testing.T, p *parts) { p.Key = write(t, "k", block("PRIVATE KEY", p224(t))) }, []string{": is of a kind that TLS cannot use; make a new one"}},
		"key of the CA": {func(t *testing.T, p *parts) { p.ClientCA = write(t, "ca", p.ca, p.key) }, []string{"client_ca ", ": holds a private key: with that of a CA, certificates can be issued in its name; leave only"}},
		"key of another": {func(t *testing.T, p *parts) {
			_, p.Key = p.issuer.Issue(t, certtest.Template{})
			age(t, p.Key, p.Certificate)
		}, []string{"certificate ", ": does not belong to the key of ", ", which was written later, at ", "; replace this file too"}},
		"key not yet there": {func(t *testing.T, p *parts) {
			p.Certificate, _ = p.issuer.Issue(t, agentCert())
			age(t, p.Certificate, p.Key)
		}, []string{"key ", ": does not belong to the certificate of ", "(CN=board-7.example, issued by CN=Test CA, serial 01:05, ", "), which was written later, at ", "; replace this file too"}},
		"of one age": {func(t *testing.T, p *parts) {
			_, p.Key = p.issuer.Issue(t, certtest.Template{})
			at := time.Now()
			for _, file := range []string{p.Key, p.Certificate} {
				if err := os.Chtimes(file, at, at); err != nil {
					t.Fatal(err)
				}
			}
		}, []string{"key ", ": does not belong to the certificate of ", "; replace one of them"}},
		"too large": {func(t *testing.T, p *parts) {
			p.CRL = write(t, "crl", nil)
			if err := os.Truncate(p.CRL, 16<<20+1); err != nil {
				t.Fatal(err)
			}
		}, []string{"crl ", ": is larger than 16 MiB; is it the right file?"}},
		"identity": {func(_ *testing.T, p *parts) { p.Identity = []string{"mail"} }, []string{`unknown kind of identity "mail"; use uri, dns or cn`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := certtest.New(t)
			p := &parts{Source: newSource(t, ca, agentCert()), issuer: ca}
			p.cert, p.key, p.ca = read(t, p.Certificate), read(t, p.Key), read(t, p.ClientCA)
			test.change(t, p)
			set, err := certificate.Load(p.Source)
			wantError(t, err, test.want...)
			if (set == nil) != (err != nil) {
				t.Errorf("set %v with error %v", set, err)
			}
		})
	}
}

// TestFileError: callers can tell which file is at fault.
func TestFileError(t *testing.T) {
	t.Parallel()
	_, err := certificate.Load(certificate.Source{Certificate: "/none/cert", Key: "/none/key"})
	file, ok := errors.AsType[*certificate.FileError](err)
	if !ok || file.Role != "certificate" || file.Path != "/none/cert" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %#v", err)
	}
}

// age makes the first file younger than the second.
func age(t *testing.T, younger, older string) {
	t.Helper()
	for file, at := range map[string]time.Time{younger: time.Now(), older: time.Now().Add(-time.Hour)} {
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func p224(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestClientProblems: a client's files are named as its flags are.
func TestClientProblems(t *testing.T) {
	t.Parallel()
	ca := certtest.New(t)
	cert, key := ca.Issue(t, clientCert())
	_, err := certificate.LoadClient(certificate.ClientSource{CA: "none/ca", Certificate: cert, Key: cert})
	wantError(t, err, "ca none/ca: there is no such file", "key "+cert+": holds no private key but a certificate")
	_, err = certificate.LoadClient(certificate.ClientSource{Certificate: key, Key: "none/key"})
	wantError(t, err, "cert "+key+": holds no certificate, only PRIVATE KEY", "key none/key: there is no such file")
	config, leaf := mustLoadClient(t, certificate.ClientSource{})
	if config.RootCAs != nil || leaf != nil {
		t.Error("a client without files has roots or a certificate of its own")
	}
}

// TestInfos: what status shows, in order, and which files are watched.
func TestInfos(t *testing.T) {
	t.Parallel()
	ca, other := certtest.New(t), certtest.NewCA(t, certtest.Template{CN: "Other CA"})
	source := newSource(t, ca, agentCert())
	source.ClientCA = write(t, "ca.pem", read(t, ca.File), read(t, other.File))
	source.CRL = write(t, "crl.pem", read(t, other.CRL(t)), read(t, ca.CRL(t)))
	set := mustLoad(t, source)
	type short struct{ Role, File, Subject, Issuer string }
	var got []short
	for _, info := range set.Infos() {
		got = append(got, short{info.Role, info.File, info.Subject, info.Issuer})
	}
	want := []short{
		{"certificate", source.Certificate, "CN=board-7.example", "CN=Test CA"},
		{"client_ca", source.ClientCA, "CN=Test CA", "CN=Test CA"},
		{"client_ca", source.ClientCA, "CN=Other CA", "CN=Other CA"},
		{"crl", source.CRL, "CN=Other CA", "CN=Other CA"},
		{"crl", source.CRL, "CN=Test CA", "CN=Test CA"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if infos := set.Infos(); infos[0].Serial != "01:05" || infos[0].DaysLeft(infos[0].NotBefore) != 3650 || infos[3].Serial != "" ||
		!infos[3].NotAfter.After(infos[3].NotBefore) {
		t.Errorf("got %+v", infos)
	}
	if diff := cmp.Diff([]string{source.Certificate, source.Key, source.ClientCA, source.CRL}, set.Files()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
