package tlsrecord

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestChaCha20Poly1305: the example of RFC 8439 section 2.8.2.
func TestChaCha20Poly1305(t *testing.T) {
	key := unhex(t, "808182838485868788898a8b8c8d8e8f 909192939495969798999a9b9c9d9e9f")
	nonce := unhex(t, "07000000 4041424344454647")
	additional := unhex(t, "50515253c0c1c2c3c4c5c6c7")
	sealed := unhex(t, "d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6 3dbea45e8ca9671282fafb69da92728b"+
		"1a71de0a9e060b2905d6a5b67ecd3b36 92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc"+
		"3ff4def08e4b7a9de576d26586cec64b 6116 1ae10b594f09e26a7e902ecbd0600691")
	const text = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it."
	c := newChaCha20Poly1305(key)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := c.Open(nil, nonce, changed, additional); err == nil {
			t.Fatalf("a change of byte %d is not found", i)
		}
		if _, err := c.Open(nil, nonce, sealed[:i], additional); err == nil {
			t.Fatalf("that it ends after %d bytes is not found", i)
		}
	}
	if got, err := c.Open(nil, nonce, sealed, additional); err != nil || string(got) != text {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := c.Open(sealed[:0], nonce, sealed, additional); err != nil || string(got) != text || &got[0] != &sealed[0] {
		t.Errorf("in place: %q, %v", got, err)
	}
}

// TestPoly1305: numbers around the modulus, RFC 8439 section A.3, vectors 5 to 11.
func TestPoly1305(t *testing.T) {
	const zero, one, two, full = "00000000000000000000000000000000", "01000000000000000000000000000000",
		"02000000000000000000000000000000", "ffffffffffffffffffffffffffffffff"
	const r10, data10 = "01000000000000000400000000000000",
		"e33594d7505e43b90000000000000000 3394d7505e4379cd0100000000000000" + zero
	for _, test := range []struct{ r, s, data, tag string }{
		{two, zero, full, "03000000000000000000000000000000"},
		{two, full, two, "03000000000000000000000000000000"},
		{one, zero, full + "f0ffffffffffffffffffffffffffffff" + "11000000000000000000000000000000", "05000000000000000000000000000000"},
		{one, zero, full + "fbfefefefefefefefefefefefefefefe" + "01010101010101010101010101010101", zero},
		{two, zero, "fdffffffffffffffffffffffffffffff", "faffffffffffffffffffffffffffffff"},
		{r10, zero, data10 + one, "14000000000000005500000000000000"},
		{r10, zero, data10, "13000000000000000000000000000000"},
	} {
		mac := newPoly1305(unhex(t, test.r+test.s))
		mac.write(unhex(t, test.data))
		if got := mac.sum(); hex.EncodeToString(got[:]) != test.tag {
			t.Errorf("r %s, data %s: %x, want %s", test.r, test.data, got, test.tag)
		}
	}
}
