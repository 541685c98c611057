package certificate

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
)

const pemBegin = "-----BEGIN "

// blocks returns the PEM blocks of a file, at least one. Convert is the command of openssl that reads
// DER instead. None is returned if something is wrong with the file, which is then noted.
func (r *reader) blocks(c content, convert string) (blocks []*pem.Block) {
	for rest := c.text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks = append(blocks, block)
	}
	switch begun := bytes.Count(c.text, []byte(pemBegin)); {
	case begun > len(blocks): // pem.Decode skips what it cannot read
		r.fail(c.role, c.path, "has %d PEM blocks, of which %d are incomplete or damaged; write it anew, and rename it "+
			"into its place when it is complete", begun, begun-len(blocks))
		return nil
	case begun == 0 && isDER(c.text):
		r.fail(c.role, c.path, "is binary (DER or PKCS #12), and PEM is wanted; convert DER with: openssl %s -inform DER "+
			"-in %s -out FILE.pem, PKCS #12 with: openssl pkcs12", convert, c.path)
	case begun == 0:
		r.fail(c.role, c.path, "is no PEM file: it has no line that begins with %q", strings.TrimSpace(pemBegin))
	}
	return blocks
}

// isDER reports whether data begins as certificates, keys and lists of revoked ones do in DER: with
// a sequence, either short and as long as the data or of more than 127 bytes.
func isDER(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && (data[1] >= 0x81 || int(data[1]) == len(data)-2)
}

// certificates returns the certificates of a PEM file, at least one, and whether it holds a private
// key too. None is returned if something is wrong with the file, which is then noted.
func (r *reader) certificates(c content) (certs []*x509.Certificate, hasKey bool) {
	var others []string
	for _, block := range r.blocks(c, "x509") {
		switch block.Type {
		case "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				r.fail(c.role, c.path, "its certificate %d cannot be read: %s", len(certs)+1, plain(err))
				return nil, false
			}
			certs = append(certs, cert)
		default:
			hasKey = hasKey || isKey(block)
			others = append(others, block.Type)
		}
	}
	if len(certs) == 0 && len(others) > 0 {
		r.fail(c.role, c.path, "holds no certificate, only %s%s", enumerate(distinct(others)), insteadOfCertificate(others[0]))
	}
	return certs, hasKey
}

// insteadOfCertificate says what to do with a file that holds another kind of PEM block; empty if
// nothing is known.
func insteadOfCertificate(kind string) string {
	switch {
	case strings.HasSuffix(kind, "PRIVATE KEY"):
		return "; are the files of certificate and key swapped?"
	case strings.HasSuffix(kind, "CERTIFICATE REQUEST"):
		return ", which asks for one; have it signed by the CA, with: openssl x509 -req"
	case kind == "TRUSTED CERTIFICATE":
		return ", OpenSSL's own form; convert it with: openssl x509"
	}
	return ""
}

// authorities returns the certificates of a PEM file with authorities. The keys of authorities are
// not to be on the machines that trust them.
func (r *reader) authorities(role, path string) []*x509.Certificate {
	c, ok := r.read(role, path)
	if !ok {
		return nil
	}
	certs, hasKey := r.certificates(c)
	if hasKey && len(certs) > 0 {
		r.fail(role, path, "holds a private key: with that of a CA, certificates can be issued in its name; "+
			"leave only the certificates in the file")
	}
	return certs
}

// distinct returns each of the texts once, in order.
func distinct(texts []string) (once []string) {
	for _, text := range texts {
		if !slices.Contains(once, text) {
			once = append(once, text)
		}
	}
	return once
}

// enumerate joins words as in a sentence, clean and of bounded length.
func enumerate(words []string) string {
	const most = 8
	more := ""
	if len(words) > most {
		words, more = words[:most], ", ..."
	}
	shown := make([]string, len(words))
	for i, word := range words {
		shown[i] = clean(word)
	}
	if n := len(shown); n > 1 && more == "" {
		return strings.Join(shown[:n-1], ", ") + " and " + shown[n-1]
	}
	return strings.Join(shown, ", ") + more
}

// plain returns the text of an error of crypto/x509 or crypto/tls without the package's name.
func plain(err error) string {
	text := err.Error()
	for _, name := range []string{"crypto/", "x509: ", "tls: "} {
		text = strings.TrimPrefix(text, name)
	}
	return clean(text)
}
