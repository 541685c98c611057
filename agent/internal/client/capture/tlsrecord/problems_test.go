package tlsrecord

import (
	"bytes"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// TestRefused: a client without a certificate sends a request with its handshake, which the server
// does not read.
func TestRefused(t *testing.T) {
	r := &talk{log: &bytes.Buffer{}}
	client, server := capturetest.TLSConfigs(r.log)
	server.ClientAuth = tls.RequireAnyClientCert
	var err error
	if r.TLS, err = capturetest.NewTLS(client, server); err == nil {
		t.Fatal("it was not refused")
	}
	r.client, r.server = r.Handshake()
	if _, err := r.Client.Write([]byte("one")); err != nil {
		t.Fatal(err)
	}
	before := len(r.client)
	r.client = append(r.client, r.Sent(true)...)
	if len(r.client) == before {
		t.Fatal("the client sent nothing")
	}
	c := r.decrypt(t)
	expect(t, c, "", "")
	if c.Server.Alert != "certificate required" || !c.Server.Refused || c.Silent {
		t.Errorf("%+v", c)
	}
}

// TestSilent: handshakes that end before anything is encrypted.
func TestSilent(t *testing.T) {
	r := &talk{log: &bytes.Buffer{}}
	client, server := capturetest.TLSConfigs(r.log)
	client.NextProtos = []string{"h2"}
	var err error
	if r.TLS, err = capturetest.NewTLS(client, server); err == nil {
		t.Fatal("it was not refused")
	}
	r.client, r.server = r.Handshake()
	c := Decrypt(r.client, r.server, nil)
	if !c.Silent || c.ToAgent || c.Alert != "no application protocol" || !errors.Is(c.Problem, ErrNoHello) {
		t.Errorf("%+v", c)
	}
	r = connect(t, nil)
	hello, _ := r.Handshake()
	if c := Decrypt(hello[:600], nil, nil); !c.Silent || c.Alert != "" {
		t.Errorf("half a ClientHello: %+v", c)
	}
	if c := Decrypt(hello, nil, nil); c.Silent || !errors.Is(c.Problem, ErrNoHello) {
		t.Errorf("without the server's side: %+v", c)
	}
}

// TestProblems: what is missing or changed is told apart.
func TestProblems(t *testing.T) {
	r := connect(t, nil)
	hello := len(r.client)
	r.say("one", "first", "two", "second")
	for _, test := range []struct {
		name           string
		client, server []byte
		log            *KeyLog
		want           error
	}{
		{"no key log", r.client, r.server, nil, ErrNoKeyLog},
		{"another's key log", r.client, r.server, connect(t, nil).keyLog(t), ErrNoSecrets},
		{"no ClientHello", r.client[hello:], r.server, r.keyLog(t), ErrNoHello},
		{"no ServerHello", r.client, nil, r.keyLog(t), ErrNoHello},
	} {
		if c := Decrypt(bytes.Clone(test.client), bytes.Clone(test.server), test.log); !errors.Is(c.Problem, test.want) {
			t.Errorf("%s: %v", test.name, c.Problem)
		}
	}
	random, _, _ := clientHello(r.client)
	log := r.keyLog(t)
	other := log.conns[random]
	other.client, other.server = other.server, other.client
	log.conns[random] = other
	if c := Decrypt(bytes.Clone(r.client), bytes.Clone(r.server), log); !errors.Is(c.Problem, ErrOtherKeys) {
		t.Errorf("with other secrets: %v", c.Problem)
	}
	last := bytes.Clone(r.client)
	last[len(last)-1] ^= 1
	c := Decrypt(last, bytes.Clone(r.server), r.keyLog(t))
	if c.Problem != nil || !errors.Is(c.Client.Problem, ErrForged) || data(&c.Client) != "one" {
		t.Errorf("a changed record: %v, %v, %q", c.Problem, c.Client.Problem, data(&c.Client))
	}
	c = Decrypt(append(bytes.Clone(r.client), `{"step_id":1}`...), bytes.Clone(r.server), r.keyLog(t))
	if !errors.Is(c.Client.Problem, ErrNoRecord) || data(&c.Client) != "one|two" {
		t.Errorf("no record: %v, %q", c.Client.Problem, data(&c.Client))
	}
}

// TestCut: of streams that end anywhere, the records that are there are decrypted.
func TestCut(t *testing.T) {
	r := connect(t, nil)
	r.say("one", "first", "two", "second")
	whole, log := r.decrypt(t), r.keyLog(t)
	for n := range r.client {
		c := Decrypt(bytes.Clone(r.client[:n]), bytes.Clone(r.server), log)
		said := data(&c.Client)
		if !strings.HasPrefix(data(&whole.Client), said) || data(&whole.Server) != data(&c.Server) && c.Problem == nil {
			t.Fatalf("%d bytes: %q", n, said)
		}
		ends := slices.ContainsFunc(whole.Client.Records, func(r Record) bool { return r.End == n })
		if c.Problem == nil && errors.Is(c.Client.Problem, ErrCut) == ends {
			t.Errorf("%d bytes: %v", n, c.Client.Problem)
		}
	}
}

// FuzzDecrypt: no bytes break it, and the records are in order and within the streams.
func FuzzDecrypt(f *testing.F) {
	old := connect(f, func(client, _ *tls.Config) { client.MaxVersion = tls.VersionTLS12 })
	for _, r := range []*talk{connect(f, nil), old} {
		r.say("one", "first", "two", "second")
		f.Add(r.client, r.server, r.log.Bytes())
	}
	f.Fuzz(func(t *testing.T, client, server, keys []byte) {
		log, err := ReadKeyLog(bytes.NewReader(keys), "keys.log")
		if err != nil {
			log = nil
		}
		log.MayBeAgents(client)
		c := Decrypt(bytes.Clone(client), bytes.Clone(server), log)
		for _, side := range []struct {
			*Side
			bytes int
		}{{&c.Client, len(client)}, {&c.Server, len(server)}} {
			at := 0
			for _, r := range side.Records {
				if r.Begin != at || r.End <= r.Begin || r.End > side.bytes || len(r.Data) > r.End-r.Begin {
					t.Fatalf("a record from %d to %d of %d, with %d bytes", r.Begin, r.End, side.bytes, len(r.Data))
				}
				at = r.End
			}
			if (at < side.bytes) != (side.Problem != nil) && c.Problem == nil {
				t.Fatalf("%d of %d bytes, %v", at, side.bytes, side.Problem)
			}
		}
	})
}
