package natsstore

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEscape(t *testing.T) {
	for id, want := range map[string]string{
		"bench-7_A":          "bench-7_A",
		"a.b":                "a=2Eb",
		"=":                  "=3D",
		"two words":          "two=20words",
		"bench@CN=ada,O=lab": "bench=40CN=3Dada=2CO=3Dlab",
		"ü\x00":              "=C3=BC=00",
	} {
		if got := escape(id); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
	}
}

// Two ids never have the same key, and each key is one token of a subject.
func TestEscapeIsOneToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		if (escape(a) == escape(b)) != (a == b) {
			t.Fatalf("%q and %q have the key %s", a, b, escape(a))
		}
		if strings.ContainsAny(escape(a), ". *>\t\r\n/") {
			t.Fatalf("%q has the key %s", a, escape(a))
		}
	})
}
