package tlsrecord

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// A suite is a cipher suite.
type suite struct {
	version  uint16
	hash     func() hash.Hash
	keyBytes int
	chacha   bool // ChaCha20-Poly1305, else AES-GCM
}

// suites are those of TLS 1.3, and those of TLS 1.2 that have ephemeral keys and AEAD.
var suites = map[uint16]suite{
	tls.TLS_AES_128_GCM_SHA256:       {version: tls.VersionTLS13, hash: sha256.New, keyBytes: 16},
	tls.TLS_AES_256_GCM_SHA384:       {version: tls.VersionTLS13, hash: sha512.New384, keyBytes: 32},
	tls.TLS_CHACHA20_POLY1305_SHA256: {version: tls.VersionTLS13, hash: sha256.New, keyBytes: 32, chacha: true},

	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:       {version: tls.VersionTLS12, hash: sha256.New, keyBytes: 16},
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:         {version: tls.VersionTLS12, hash: sha256.New, keyBytes: 16},
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:       {version: tls.VersionTLS12, hash: sha512.New384, keyBytes: 32},
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:         {version: tls.VersionTLS12, hash: sha512.New384, keyBytes: 32},
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: {version: tls.VersionTLS12, hash: sha256.New, keyBytes: 32, chacha: true},
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256:   {version: tls.VersionTLS12, hash: sha256.New, keyBytes: 32, chacha: true},
}

const (
	nonceBytes = 12
	tagBytes   = 16
	// fixedBytes is the part of a nonce of AES-GCM in TLS 1.2 that the keys give; the record has
	// the rest (RFC 5288 section 3).
	fixedBytes = 4
)

func (s suite) isTLS12() bool { return s.version == tls.VersionTLS12 }

// explicit reports whether records carry a part of their nonce.
func (s suite) explicit() bool { return s.isTLS12() && !s.chacha }

// keys are those by which one end encrypts its next record.
type keys struct {
	suite
	secret   []byte // the traffic secret of TLS 1.3, from which the next keys follow
	aead     cipher.AEAD
	iv       [nonceBytes]byte
	sequence uint64
}

// keys returns the keys of both ends.
func (s suite) keys(secrets connSecrets, client Random, server []byte) (fromClient, fromServer *keys, err error) {
	fromClient, fromServer = &keys{suite: s, secret: secrets.client}, &keys{suite: s, secret: secrets.server}
	if !s.isTLS12() {
		if err = fromClient.derive(); err == nil {
			err = fromServer.derive()
		}
		return fromClient, fromServer, err
	}
	ivBytes := nonceBytes
	if s.explicit() {
		ivBytes = fixedBytes
	}
	// RFC 5246 section 6.3: the keys, then the IVs.
	block := reader{b: s.expand12(secrets.master, "key expansion", server, client[:], 2*(s.keyBytes+ivBytes))}
	for _, k := range []*keys{fromClient, fromServer} {
		if k.aead, err = s.opener(block.take(s.keyBytes)); err != nil {
			return nil, nil, err
		}
	}
	copy(fromClient.iv[:], block.take(ivBytes))
	copy(fromServer.iv[:], block.take(ivBytes))
	return fromClient, fromServer, nil
}

func (s suite) opener(key []byte) (cipher.AEAD, error) {
	if s.chacha {
		return chacha20poly1305.New(key)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// derive derives key and IV from the traffic secret, RFC 8446 section 7.3.
func (k *keys) derive() error {
	key, err := k.expand(k.secret, "key", k.keyBytes)
	if err != nil {
		return err
	}
	iv, err := k.expand(k.secret, "iv", nonceBytes)
	if err != nil {
		return err
	}
	copy(k.iv[:], iv)
	k.sequence = 0
	k.aead, err = k.opener(key)
	return err
}

// update makes the keys that follow a KeyUpdate, RFC 8446 section 7.2.
func (k *keys) update() (err error) {
	if k.secret, err = k.expand(k.secret, "traffic upd", k.hash().Size()); err != nil {
		return err
	}
	return k.derive()
}

// expand is HKDF-Expand-Label without a context, RFC 8446 section 7.1.
func (s suite) expand(secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(append(info, byte(len(label))), label...)
	return hkdf.Expand(s.hash, secret, string(append(info, 0)), size)
}

// expand12 is the PRF of TLS 1.2, RFC 5246 section 5, with a seed of two parts.
func (s suite) expand12(secret []byte, label string, first, second []byte, size int) []byte {
	mac := func(parts ...[]byte) []byte {
		h := hmac.New(s.hash, secret)
		for _, part := range parts {
			_, _ = h.Write(part) // a hash does not fail
		}
		return h.Sum(nil)
	}
	seed := bytes.Join([][]byte{[]byte(label), first, second}, nil)
	var out []byte
	for a := mac(seed); len(out) < size; a = mac(a) {
		out = append(out, mac(a, seed)...)
	}
	return out[:size]
}

// open decrypts a record in place and returns its type and content.
func (k *keys) open(header, body []byte) (kind byte, content []byte, ok bool) {
	nonce, additional := k.iv, header
	if k.explicit() {
		if len(body) < nonceBytes-fixedBytes {
			return 0, nil, false
		}
		body = body[copy(nonce[fixedBytes:], body):]
	} else { // RFC 8446 section 5.3, RFC 7905 section 2
		for i := range 8 {
			nonce[nonceBytes-1-i] ^= byte(k.sequence >> (8 * i))
		}
	}
	if len(body) < tagBytes {
		return 0, nil, false
	}
	if k.isTLS12() { // RFC 5246 section 6.2.3.3
		additional = append(binary.BigEndian.AppendUint64(nil, k.sequence), header[:3]...)
		additional = binary.BigEndian.AppendUint16(additional, uint16(len(body)-tagBytes))
	}
	content, err := k.aead.Open(body[:0], nonce[:], body, additional)
	if err != nil {
		return 0, nil, false
	}
	k.sequence++
	if k.isTLS12() {
		return header[0], content, true
	}
	content = bytes.TrimRight(content, "\x00") // RFC 8446 section 5.4
	if len(content) == 0 {
		return 0, nil, false
	}
	return content[len(content)-1], content[:len(content)-1], true
}
