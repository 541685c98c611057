package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	_ "unsafe" // for linkname

	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// crypto/tls chooses the suite of TLS 1.3 by itself, out of these.
//
//go:linkname defaultCipherSuitesTLS13 crypto/tls.defaultCipherSuitesTLS13
var defaultCipherSuitesTLS13 []uint16

//go:linkname defaultCipherSuitesTLS13NoAES crypto/tls.defaultCipherSuitesTLS13NoAES
var defaultCipherSuitesTLS13NoAES []uint16

// only has connections with TLS 1.3 use one suite until the test ends.
func only(t *testing.T, suite uint16) {
	with, without := defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES
	t.Cleanup(func() { defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES = with, without })
	defaultCipherSuitesTLS13, defaultCipherSuitesTLS13NoAES = []uint16{suite}, []uint16{suite}
}

// A talk is a recorded connection.
type talk struct {
	*capturetest.TLS
	client, server []byte
	log            *bytes.Buffer
}

// connect makes a handshake and records it.
func connect(t testing.TB, change func(client, server *tls.Config)) *talk {
	t.Helper()
	r := &talk{log: &bytes.Buffer{}}
	client, server := capturetest.TLSConfigs(r.log)
	if change != nil {
		change(client, server)
	}
	var err error
	if r.TLS, err = capturetest.NewTLS(client, server); err != nil {
		t.Fatal(err)
	}
	r.client, r.server = r.Handshake()
	return r
}

func withoutALPN(client, server *tls.Config) { client.NextProtos, server.NextProtos = nil, nil }

// say has both ends say texts in turns, the client first.
func (r *talk) say(texts ...string) {
	for i, text := range texts {
		if i%2 == 0 {
			r.client = append(r.client, r.Say(true, []byte(text))...)
		} else {
			r.server = append(r.server, r.Say(false, []byte(text))...)
		}
	}
}

func (r *talk) keyLog(t testing.TB) *KeyLog {
	t.Helper()
	log, err := ReadKeyLog(bytes.NewReader(r.log.Bytes()), "keys.log")
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// decrypt decrypts a copy of what was recorded.
func (r *talk) decrypt(t testing.TB) *Conn {
	t.Helper()
	return Decrypt(bytes.Clone(r.client), bytes.Clone(r.server), r.keyLog(t))
}

// data returns the data of a side, with a bar between records.
func data(s *Side) string {
	var texts []string
	for _, r := range s.Records {
		if len(r.Data) > 0 {
			texts = append(texts, string(r.Data))
		}
	}
	return strings.Join(texts, "|")
}

// expect checks that a connection was decrypted to its end, and what was said.
func expect(t *testing.T, c *Conn, client, server string) {
	t.Helper()
	if c.Problem != nil || c.Client.Problem != nil || c.Server.Problem != nil {
		t.Errorf("problems: %v, %v, %v", c.Problem, c.Client.Problem, c.Server.Problem)
	}
	if got := data(&c.Client); got != client {
		t.Errorf("the client said %q, want %q", got, client)
	}
	if got := data(&c.Server); got != server {
		t.Errorf("the server said %q, want %q", got, server)
	}
}

// TestTLS13: each suite, with the secrets of a key log that has those of others too.
func TestTLS13(t *testing.T) {
	other := connect(t, nil)
	for _, suite := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256} {
		t.Run(tls.CipherSuiteName(suite), func(t *testing.T) {
			only(t, suite)
			r := connect(t, nil)
			long := strings.Repeat("0123456789", 5000) // several records
			r.say("one", "first", "two", "second", long)
			r.client = append(r.client, r.Close(true)...)
			r.server = append(r.server, r.Close(false)...)
			_, _ = r.log.ReadFrom(other.log)
			c := r.decrypt(t)
			if c.Version != tls.VersionTLS13 || c.Suite != suite || !c.ToAgent || c.Silent {
				t.Errorf("%+v", c)
			}
			if got := strings.ReplaceAll(data(&c.Client), "|", ""); got != "onetwo"+long {
				t.Errorf("the client said %.100q", got)
			}
			c.Client.Records = slices.DeleteFunc(c.Client.Records, func(r Record) bool { return len(r.Data) > 3 })
			expect(t, c, "one|two", "first|second")
			if c.Client.Alert+c.Server.Alert != "" {
				t.Error("that they say no more is taken for a failure")
			}
		})
	}
}

// TestTLS12: each suite; also a session that is resumed, and what is not supported.
func TestTLS12(t *testing.T) {
	for _, suite := range []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256} {
		t.Run(tls.CipherSuiteName(suite), func(t *testing.T) {
			cache := tls.NewLRUClientSessionCache(1)
			var master []byte
			for _, resumed := range []bool{false, true} {
				r := connect(t, func(client, server *tls.Config) {
					client.MaxVersion, client.CipherSuites, client.ClientSessionCache = tls.VersionTLS12, []uint16{suite}, cache
					server.SetSessionTicketKeys([][32]byte{{1}})
				})
				r.say("one", "first", "two", "second")
				if got := r.Client.ConnectionState().DidResume; got != resumed {
					t.Fatalf("resumed: %t", got)
				}
				random, _, _ := clientHello(r.client)
				if resumed { // crypto/tls logs the master secret once only, others do so again
					_, _ = fmt.Fprintf(r.log, "CLIENT_RANDOM %x %x\n", random, master)
				}
				master = r.keyLog(t).secrets(random).master
				c := r.decrypt(t)
				expect(t, c, "one|two", "first|second")
				if c.Version != tls.VersionTLS12 || c.Suite != suite {
					t.Errorf("%+v", c)
				}
			}
		})
	}
	r := connect(t, func(client, _ *tls.Config) {
		client.MaxVersion, client.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	})
	r.say("one", "first")
	const want = "TLS 1.2 with TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA is not supported"
	if c := r.decrypt(t); !errors.Is(c.Problem, ErrUnsupported) || c.Problem.Error() != want {
		t.Errorf("%v", c.Problem)
	}
}

// TestHelloRetryRequest: the server wants another group than the client offers a key for.
func TestHelloRetryRequest(t *testing.T) {
	r := connect(t, func(_, server *tls.Config) { server.CurvePreferences = []tls.CurveID{tls.CurveP384} })
	if !r.Client.ConnectionState().HelloRetryRequest {
		t.Fatal("there was no HelloRetryRequest")
	}
	r.say("one", "first")
	expect(t, r.decrypt(t), "one", "first")
}

// TestResumed: a session of TLS 1.3 that is resumed has secrets of its own.
func TestResumed(t *testing.T) {
	cache := tls.NewLRUClientSessionCache(1)
	for _, resumed := range []bool{false, true} {
		r := connect(t, func(client, server *tls.Config) {
			client.ClientSessionCache = cache
			server.SetSessionTicketKeys([][32]byte{{1}})
		})
		r.say("one", "first")
		if got := r.Client.ConnectionState().DidResume; got != resumed {
			t.Fatalf("resumed: %t", got)
		}
		expect(t, r.decrypt(t), "one", "first")
	}
}

// TestKeyUpdate: a client changes its keys and asks the server to do so too, several times.
func TestKeyUpdate(t *testing.T) {
	for _, suite := range []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384} {
		only(t, suite)
		r := connect(t, nil)
		random, _, _ := clientHello(r.client)
		k, _, err := suites[suite].keys(r.keyLog(t).secrets(random), random, nil)
		if err != nil {
			t.Fatal(err)
		}
		send := func(kind byte, content ...byte) {
			record := k.seal(kind, content)
			r.client = append(r.client, record...)
			if _, err := r.Client.NetConn().Write(record); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			text := fmt.Sprint("question ", i)
			send(applicationData, []byte(text)...)
			send(handshake, keyUpdate, 0, 0, 1, 1) // update_requested
			if err := k.update(); err != nil {
				t.Fatal(err)
			}
			send(applicationData, []byte("more")...)
			for _, want := range []string{text, "more"} {
				got := make([]byte, 100)
				if n, err := r.Server.Read(got); err != nil || string(got[:n]) != want {
					t.Fatalf("the server got %q, %v", got[:n], err)
				}
			}
			r.server = append(r.server, r.Say(false, fmt.Append(nil, "answer ", i))...)
		}
		expect(t, r.decrypt(t), "question 0|more|question 1|more|question 2|more", "answer 0|answer 1|answer 2")
	}
}

// seal encrypts a record of TLS 1.3 by the keys of a client.
func (k *keys) seal(kind byte, content []byte) []byte {
	nonce := k.iv
	for i := range 8 {
		nonce[nonceBytes-1-i] ^= byte(k.sequence >> (8 * i))
	}
	k.sequence++
	content = append(bytes.Clone(content), kind, 0, 0) // with padding
	record := binary.BigEndian.AppendUint16([]byte{applicationData, 3, 3}, uint16(len(content)+tagBytes))
	return k.aead.Seal(record, nonce[:], content, record[:headerBytes:headerBytes])
}
