package config

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestKeysAreTheFields: the table of keys and the struct say the same.
func TestKeysAreTheFields(t *testing.T) {
	t.Parallel()
	var fields []string
	var walk func(of reflect.Type, section string)
	walk = func(of reflect.Type, section string) {
		for i := range of.NumField() {
			field := of.Field(i)
			name := join(section, field.Tag.Get(tagName))
			switch field.Type.Kind() {
			case reflect.Struct:
				walk(field.Type, name)
			case reflect.Map: // a table, which is no scalar
			default:
				if field.Type == reflect.TypeFor[[]Validator]() {
					continue
				}
				fields = append(fields, name)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
	names := keyNames()
	slices.Sort(names)
	slices.Sort(fields)
	if !slices.Equal(names, fields) {
		t.Errorf("the keys are %q, the fields %q", names, fields)
	}
}

// TestLimits: each limit is allowed itself, and what lies beyond it is not.
func TestLimits(t *testing.T) {
	t.Parallel()
	numbers, durations := 0, 0
	for _, key := range keys() {
		for _, test := range []struct {
			beyond int64
			sound  bool
		}{{0, true}, {1, false}} {
			var errs []error
			switch k := key.kind.(type) {
			case integer:
				numbers++
				errs = []error{k.check(int(k.min - test.beyond)), k.check(int(k.max + test.beyond))}
			case duration:
				durations++
				beyond := time.Duration(test.beyond)
				errs = []error{k.check(k.min - beyond), k.check(k.max + beyond)}
			}
			for _, err := range errs {
				if (err == nil) != test.sound {
					t.Errorf("%s, %d beyond its limits: %v", key.name, test.beyond, err)
				}
			}
		}
	}
	if numbers != 2*19 || durations != 2*11 {
		t.Errorf("%d numbers and %d durations were looked at", numbers, durations)
	}
}

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

func TestManyProblems(t *testing.T) {
	t.Parallel()
	problems := make(Problems, 7)
	for n, want := range map[int]int{5: 6, 6: 7, 7: 7, 8: 7} {
		if got := problems.first(n); len(got) != want {
			t.Errorf("the first %d of 7 are %d, want %d", n, len(got), want)
		}
	}
	if got := problems.first(5)[5].Error(); got != "and 2 more problems" {
		t.Errorf("the rest is %q", got)
	}
}
