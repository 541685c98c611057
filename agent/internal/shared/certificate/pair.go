package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
)

// minRSA is the length of the shortest RSA key that crypto/rsa uses, in bits.
const minRSA = 1024

// pair returns a certificate with its chain and key. Notes are warnings about the files. The
// certificate has no Leaf if something is wrong, which is then noted.
func (r *reader) pair(certRole, certPath, keyRole, keyPath string) (pair tls.Certificate, notes []string) {
	certFile, certOK := r.read(certRole, certPath)
	keyFile, keyOK := r.read(keyRole, keyPath)
	var certs []*x509.Certificate
	var hasKey bool
	var key crypto.Signer
	if certOK {
		certs, hasKey = r.certificates(certFile)
	}
	if keyOK {
		key = r.key(keyFile)
		r.keyMode = keyFile.mode
	}
	if len(certs) == 0 || key == nil {
		return tls.Certificate{}, nil
	}
	own := slices.IndexFunc(certs, func(cert *x509.Certificate) bool { return fits(key, cert) })
	if own < 0 {
		r.mismatch(certFile, keyFile, certs[0])
		return tls.Certificate{}, nil
	}
	if hasKey && certPath != keyPath {
		notes = append(notes, certPath+" holds a private key too; leave only certificates in it")
	}
	chain, linked := order(certs, own)
	if !slices.Equal(chain, certs) {
		notes = append(notes, certPath+" is not in order, which is the own certificate, then the issuer of each one; "+
			"it is sent in order")
	}
	for _, stray := range chain[linked:] {
		notes = append(notes, fmt.Sprintf("%s holds %s, which is not in the chain of the certificate", certPath, Describe(stray)))
	}
	pair = tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, cert := range chain {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair, notes
}

// fits reports whether a key is that of a certificate.
func fits(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// mismatch notes a certificate and a key that do not belong together. As they are two files, one is
// replaced before the other: the older one is at fault.
func (r *reader) mismatch(certFile, keyFile content, cert *x509.Certificate) {
	const format = "does not belong to %s of %s (%s), which was written later, at %s; replace this file too"
	if keyFile.changed.After(certFile.changed) {
		r.fail(certFile.role, certFile.path, format, "the "+keyFile.role, keyFile.path, "this is "+Describe(cert), moment(keyFile.changed))
		return
	}
	if certFile.changed.After(keyFile.changed) {
		r.fail(keyFile.role, keyFile.path, format, "the "+certFile.role, certFile.path, Describe(cert), moment(certFile.changed))
		return
	}
	r.fail(keyFile.role, keyFile.path, "does not belong to the %s of %s (%s); replace one of them", certFile.role, certFile.path, Describe(cert))
}

// order returns certificates in the order of TLS: the own one, then the issuer of each as far as it
// is there. Linked is how many those are; the others follow.
func order(certs []*x509.Certificate, own int) (chain []*x509.Certificate, linked int) {
	chain = []*x509.Certificate{certs[own]}
	rest := slices.Delete(slices.Clone(certs), own, own+1)
	for {
		last := chain[len(chain)-1]
		i := slices.IndexFunc(rest, func(cert *x509.Certificate) bool { return issued(cert, last) })
		if i < 0 || isSelfIssued(last) {
			return append(chain, rest...), len(chain)
		}
		chain, rest = append(chain, rest[i]), slices.Delete(rest, i, i+1)
	}
}

// issued reports whether one certificate signed another.
func issued(issuer, cert *x509.Certificate) bool {
	return bytes.Equal(issuer.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(issuer) == nil
}

// isSelfIssued reports whether a certificate is the end of a chain, such as a root.
func isSelfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawSubject, cert.RawIssuer) }

func isKey(block *pem.Block) bool { return strings.HasSuffix(block.Type, "PRIVATE KEY") }

// key returns the one private key of a PEM file; nil if something is wrong, which is then noted.
func (r *reader) key(c content) crypto.Signer {
	var keys []*pem.Block
	var others []string
	for _, block := range r.blocks(c, "pkey") {
		if isKey(block) {
			keys = append(keys, block)
		} else {
			others = append(others, block.Type)
		}
	}
	switch {
	case len(keys) > 1:
		r.fail(c.role, c.path, "holds %d private keys; leave only that of the certificate", len(keys))
	case len(keys) == 1:
		key, problem := parseKey(keys[0])
		if problem != "" {
			r.fail(c.role, c.path, "%s", problem)
		}
		return key
	case slices.Contains(others, "CERTIFICATE"):
		r.fail(c.role, c.path, "holds no private key but a certificate; are the files of certificate and key swapped?")
	case len(others) > 0:
		r.fail(c.role, c.path, "holds no private key, only %s", enumerate(distinct(others)))
	}
	return nil
}

// parseKey returns a key, or what is wrong with it.
func parseKey(block *pem.Block) (key crypto.Signer, problem string) {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, "is encrypted, and no passphrase is asked for; write it without one, to a file that only its user can " +
			"read, with: openssl pkey"
	case block.Type == "OPENSSH PRIVATE KEY":
		return nil, "is a key of OpenSSH; use one that openssl has made, with: openssl genpkey"
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = parseOlder(block.Bytes, err)
	}
	if err != nil {
		return nil, "its private key cannot be read: " + plain(err)
	}
	switch k := parsed.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P224() {
			return k, ""
		}
	case ed25519.PrivateKey:
		return k, ""
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSA {
			return nil, fmt.Sprintf("is an RSA key of %d bits, which is too short; make a new one, such as P-256", bits)
		}
		return k, ""
	}
	return nil, "is of a kind that TLS cannot use; make a new one, such as P-256 or Ed25519"
}

// parseOlder parses a key in the forms before PKCS #8. It returns the given error if it is in none.
func parseOlder(der []byte, err error) (any, error) {
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	return nil, err
}
