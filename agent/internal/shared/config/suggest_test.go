package config

import (
	"testing"

	"pgregory.net/rapid"
)

func TestNearest(t *testing.T) {
	t.Parallel()
	words := []string{"host", "port", "stop", "idle_timeout", "timeout_too_short", "log"}
	for word, want := range map[string]string{
		"port": "port", "prot": "port", "PORT": "port", "por": "port", "sport": "port",
		"idle-timeout": "idle_timeout", "idletimeout": "idle_timeout", "idle_tiemout": "idle_timeout",
		"timeout": "timeout_too_short", "time": "timeout_too_short",
		"top": "stop", "colour": "", "x": "", "": "", "lg": "log", "hots": "host",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// TestDistance: the distance is what a few edits can undo, the same both ways, and 0 for
// equal words alone.
func TestDistance(t *testing.T) {
	t.Parallel()
	word := rapid.StringMatching(`[abc]{0,6}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := distance(a, b)
		if d != distance(b, a) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("the distance of %q and %q is %d and %d", a, b, d, distance(b, a))
		}
		i := rapid.IntRange(0, len(a)).Draw(t, "at")
		if got := distance(a, a[:i]+"x"+a[i:]); got != 1 {
			t.Fatalf("one byte more in %q is a distance of %d", a, got)
		}
	})
	for _, test := range []struct {
		a, b string
		want int
	}{{"prot", "port", 1}, {"kitten", "sitting", 3}, {"", "abc", 3}, {"ca", "abc", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("the distance of %q and %q is %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
