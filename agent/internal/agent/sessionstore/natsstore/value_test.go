package natsstore

import (
	"errors"
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

// value returns a value of a commit.
func value(t testing.TB) []byte {
	t.Helper()
	codec, err := sessionstore.NewCodec()
	must(t, err)
	o := origin{writer: writerID{1, 2, 3}, number: 4, replaces: 5}
	v := codec.Append(appendHeader(nil, &o), record("x", counted(3)))
	seal(v)
	return v
}

// A value comes back as it was; with one bit changed, or its end missing, it is damaged.
func TestValueDamaged(t *testing.T) {
	v := value(t)
	if o, _, err := parse(v); err != nil || o != (origin{writer: writerID{1, 2, 3}, number: 4, replaces: 5}) {
		t.Fatalf("%+v, error %v", o, err)
	}
	for at := range v {
		changed := slices.Clone(v)
		changed[at] ^= 1 << (at % 8)
		if _, _, err := parse(changed); !errors.Is(err, errDamaged) {
			t.Errorf("byte %d: %v", at, err)
		}
		if _, _, err := parse(v[:at]); !errors.Is(err, errDamaged) {
			t.Errorf("%d bytes: %v", at, err)
		}
	}
}

// No value makes an agent fail.
func FuzzValue(f *testing.F) {
	f.Add(value(f))
	f.Add([]byte(magic))
	codec, err := sessionstore.NewCodec()
	must(f, err)
	f.Fuzz(func(t *testing.T, input []byte) {
		v := slices.Clone(input)
		if len(v) >= headerBytes {
			copy(v, magic)
			seal(v) // or else no change gets past the checksum
		}
		_, body, err := parse(v)
		if err != nil {
			return
		}
		if r, _, err := codec.Decode(body); err == nil && r.Key == "" {
			t.Error("a record without a key")
		}
	})
}
