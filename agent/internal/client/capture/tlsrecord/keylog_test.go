package tlsrecord

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

const (
	random1 = "aa000000000000000000000000000000000000000000000000000000000000aa"
	random2 = "bb000000000000000000000000000000000000000000000000000000000000bb"
	secret  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func TestReadKeyLog(t *testing.T) {
	good := "# made by a test\r\n\n" +
		"CLIENT_HANDSHAKE_TRAFFIC_SECRET " + random1 + " " + secret + "\n" +
		"CLIENT_TRAFFIC_SECRET_0 " + random1 + " " + secret + "\r\n" +
		"SERVER_TRAFFIC_SECRET_0 " + random1 + " " + secret + "\n" +
		"A_LABEL_OF_LATER\n" +
		"CLIENT_RANDOM " + random2 + " " + secret + secret[:32] + "\n"
	log, err := ReadKeyLog(strings.NewReader(good), "keys.log")
	if err != nil {
		t.Fatal(err)
	}
	one, two := log.secrets(Random(unhex(t, random1))), log.secrets(Random(unhex(t, random2)))
	if len(log.conns) != 2 || !bytes.Equal(one.client, unhex(t, secret)) || !bytes.Equal(one.server, unhex(t, secret)) || len(two.master) != maxSecret {
		t.Errorf("%+v", log.conns)
	}
	for _, test := range []struct{ text, want string }{
		{"", "keys.log: no line has a secret of TLS; a key log has lines such as CLIENT_TRAFFIC_SECRET_0, two hexadecimal numbers after it"},
		{"\x0a\x0d\x0d\x0a\x00\x00", "keys.log: no line has a secret of TLS; a key log has lines such as CLIENT_TRAFFIC_SECRET_0, two hexadecimal numbers after it"},
		{"\nCLIENT_RANDOM 12 34\n#", "keys.log:2: after CLIENT_RANDOM there are not 32 bytes in hexadecimal"},
		{"CLIENT_RANDOM " + random1 + "\n#", "keys.log:1: the secret of CLIENT_RANDOM is not 1 to 48 bytes in hexadecimal"},
		{"CLIENT_RANDOM " + random1 + " " + secret + secret + "\n#", "keys.log:1: the secret of CLIENT_RANDOM is not 1 to 48 bytes in hexadecimal"},
		{"#\n" + strings.Repeat("x", 1<<17), "keys.log:2: the line is too long for a key log"},
	} {
		if _, err := ReadKeyLog(strings.NewReader(test.text), "keys.log"); err == nil || err.Error() != test.want {
			t.Errorf("%.40q: %v", test.text, err)
		}
	}
	if _, err := ReadKeyLog(strings.NewReader(good+"CLIENT_RANDOM "+random1[:20]), "keys.log"); err != nil {
		t.Errorf("the last line is still being written: %v", err)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMayBeAgents: a connection is of interest by its secrets, or by what its client asks for.
func TestMayBeAgents(t *testing.T) {
	agents, others := connect(t, nil), connect(t, withoutALPN)
	var none *KeyLog
	if !none.MayBeAgents(agents.client) || none.MayBeAgents(others.client) {
		t.Error("without a key log")
	}
	log := others.keyLog(t)
	if !log.MayBeAgents(agents.client) || !log.MayBeAgents(others.client) || !log.MayBeAgents(others.client[:100]) ||
		log.MayBeAgents(others.server) || log.MayBeAgents(connect(t, withoutALPN).client) {
		t.Error("with the key log of the others")
	}
}

// FuzzReadKeyLog: no bytes break it, and it keeps no secret that is none.
func FuzzReadKeyLog(f *testing.F) {
	f.Add([]byte("CLIENT_TRAFFIC_SECRET_0 " + random1 + " " + secret + "\nCLIENT_RANDOM " + random2 + " " + secret + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		log, err := ReadKeyLog(bytes.NewReader(text), "keys.log")
		if (log == nil) == (err == nil) {
			t.Fatal(log, err)
		}
		if log == nil {
			return
		}
		for _, s := range log.conns {
			if n := len(s.client) + len(s.server) + len(s.master); n == 0 || n > 3*maxSecret {
				t.Errorf("%d bytes of secrets", n)
			}
		}
	})
}
