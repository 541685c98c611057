package server_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/stepagent/stepagent/agent/internal/agent/server"
)

// A recordWriter writes TLS records of its own making as a client (RFC 8446, section 5.2), with AES-128
// in GCM or, on processors without instructions for AES, ChaCha20-Poly1305.
type recordWriter struct {
	t      *testing.T
	to     net.Conn
	suite  uint16
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	number uint64
}

// Types of records.
const (
	handshakeRecord   = 22
	applicationRecord = 23
)

// dialRecords connects and returns what writes further records. The client must not write.
func dialRecords(t *testing.T, h *harness, config *tls.Config) (*peer, *recordWriter) {
	t.Helper()
	var keys bytes.Buffer
	config.KeyLogWriter = &keys
	p := h.as(t, config)
	over := p.Conn.(*tls.Conn)
	suite := over.ConnectionState().CipherSuite
	if suite != tls.TLS_AES_128_GCM_SHA256 && suite != tls.TLS_CHACHA20_POLY1305_SHA256 {
		t.Fatalf("this test does not know the cipher suite %s", tls.CipherSuiteName(suite))
	}
	_, line, _ := strings.Cut(keys.String(), "CLIENT_TRAFFIC_SECRET_0 ")
	fields := strings.Fields(line)
	if len(fields) < 2 {
		t.Fatalf("no secret in %q", keys.String())
	}
	secret, err := hex.DecodeString(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	w := &recordWriter{t: t, to: over.NetConn(), suite: suite}
	w.use(secret)
	return p, w
}

// use makes keys from a secret (section 7.3).
func (w *recordWriter) use(secret []byte) {
	w.t.Helper()
	var err error
	if w.suite == tls.TLS_CHACHA20_POLY1305_SHA256 {
		w.aead, err = chacha20poly1305.New(w.expand(secret, "key", chacha20poly1305.KeySize))
	} else {
		var block cipher.Block
		if block, err = aes.NewCipher(w.expand(secret, "key", 16)); err == nil {
			w.aead, err = cipher.NewGCM(block)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	w.secret, w.iv, w.number = secret, w.expand(secret, "iv", 12), 0
}

// expand is HKDF-Expand-Label without a context (section 7.1).
func (w *recordWriter) expand(secret []byte, label string, length int) []byte {
	w.t.Helper()
	label = "tls13 " + label
	info := append([]byte{0, byte(length), byte(len(label))}, label...)
	out, err := hkdf.Expand(sha256.New, secret, string(append(info, 0)), length)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// write writes one record; false once the agent has closed the connection.
func (w *recordWriter) write(kind byte, text []byte) bool {
	nonce := bytes.Clone(w.iv)
	binary.BigEndian.PutUint64(nonce[4:], binary.BigEndian.Uint64(nonce[4:])^w.number)
	w.number++
	inner := append(bytes.Clone(text), kind)
	header := []byte{applicationRecord, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(header[3:], uint16(len(inner)+w.aead.Overhead()))
	_, err := w.to.Write(w.aead.Seal(header, nonce, inner, header))
	return err == nil
}

// updateKeys sends a KeyUpdate (section 4.6.3), which asks for one of the agent too.
func (w *recordWriter) updateKeys() bool {
	ok := w.write(handshakeRecord, []byte{24, 0, 0, 1, 1})
	w.use(w.expand(w.secret, "traffic upd", 32))
	return ok
}

// TestKeyUpdates: a client may change its keys at any time, also long after the last reply. One that
// only changes keys is cut off.
func TestKeyUpdates(t *testing.T) {
	a := newAuthority(t)
	o := a.options(false)
	o.ReplyTime = 200 * time.Millisecond
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, o, &log)
	p, records := dialRecords(t, h, a.client())
	for step := 1; step <= 3; step++ {
		if step > 1 {
			time.Sleep(o.ReplyTime + 50*time.Millisecond) // the deadline of the last reply has passed
		}
		records.updateKeys()
		records.write(applicationRecord, fmt.Appendf(nil, `{"step_id":%d}`, step))
		p.expect(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, step))
	}
	for n := 0; records.updateKeys(); n++ {
		if n > 100_000 {
			t.Fatal("the agent takes key updates without end")
		}
	}
	_, _ = io.Copy(io.Discard, p.lines)
	waitFor(t, "the connection to end", func() bool { return h.Stats().Open == 0 })
	if !strings.Contains(log.String(), "too many non-advancing records") {
		t.Errorf("no line says so:\n%s", log.String())
	}
	h.dial(t).step()
}

// TestForgedRecord: a record that was not encrypted with the keys of the connection ends it.
func TestForgedRecord(t *testing.T) {
	a := newAuthority(t)
	var log lockedBuffer
	h := a.startTLS(t, server.TLS, a.options(false), &log)
	p, records := dialRecords(t, h, a.client())
	records.write(applicationRecord, []byte(`{"step_id":1}`))
	p.expect(`{"step_id":1,"error_code":0}`)
	records.number += 7
	records.write(applicationRecord, []byte(`{"step_id":2}`))
	if _, err := p.lines.ReadByte(); err == nil || !strings.Contains(err.Error(), "bad record MAC") {
		t.Errorf("the client reads %v", err)
	}
	waitFor(t, "a line", func() bool { return strings.Contains(log.String(), "TLS connection failed") })
	if n := h.sessions.Stats(); n.Passed != 1 || n.Failed != 0 {
		t.Errorf("%+v", n)
	}
}
