package protocol_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/protocol"
)

func TestDecodeWhole(t *testing.T) {
	t.Parallel()
	const plain, rich = `{"step_id":3}`, `{"step_id":3,"data":{"a":"}{"}}`
	long := `{"step_id":3,"unknown":"` + strings.Repeat("x", protocol.DefaultMaxMessageBytes) + `"}`
	tests := map[string]struct {
		bytes string
		limit int
		want  bool
	}{
		"plain":                          {plain, 100, true},
		"with a newline":                 {plain + "\n", 100, true},
		"white space all around":         {" \r\n\t" + plain + "\r\n \t", 100, true},
		"not plain":                      {rich, 100, true},
		"not plain, white space around":  {"\n" + rich + "\r\n", 100, true},
		"as long as may be":              {plain, len(plain), true},
		"a byte too long":                {plain, len(plain) - 1, false},
		"white space does not count":     {"\n\n" + plain + "\n\n", len(plain), true},
		"white space within counts":      {`{ "step_id":3}`, len(plain), false},
		"not plain, as long as may be":   {rich + "\n", len(rich), true},
		"not plain, a byte too long":     {rich + "\n", len(rich) - 1, false},
		"no limit means the usual one":   {plain, 0, true},
		"a negative one means the same":  {rich, -1, true},
		"past the usual one":             {long, 0, false},
		"nothing":                        {"", 100, false},
		"white space":                    {" \n", 100, false},
		"half a message":                 {`{"step_id":3`, 100, false},
		"half a text":                    {`{"step_id":3,"data":{"a":"}`, 100, false},
		"two":                            {plain + plain, 100, false},
		"two, a newline between":         {plain + "\n" + plain + "\n", 100, false},
		"two that are not plain":         {rich + rich, 100, false},
		"one and a half":                 {plain + "\n{", 100, false},
		"a brace too many":               {rich + "}", 100, false},
		"something behind it":            {plain + "x", 100, false},
		"something before it":            {"x" + plain, 100, false},
		"other white space":              {"\v" + plain, 100, false},
		"no object":                      {"[3]", 100, false},
		"no JSON":                        {"{step_id:3}", 100, false},
		"a bad request":                  {`{"step_id":"3"}`, 100, false},
		"a request without a step":       {`{}`, 100, false},
		"a name that comes twice":        {`{"step_id":3,"step_id":3}`, 100, false},
		"a control character in a text":  {"{\"step_id\":3,\"data\":{\"a\":\"\n\"}}", 100, false},
		"an escaped quote":               {`{"step_id":3,"data":{"a":"\"}"}}`, 100, true},
		"deeper than may be":             {`{"step_id":3,"data":` + strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 65), 4096, false},
		"invalid UTF-8 in what is known": {"{\"step_id\":3,\"session\":\"\xff\"}", 100, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkWhole(t, []byte(test.bytes), test.limit)
			if _, got := protocol.DecodeWhole([]byte(test.bytes), test.limit); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

// FuzzDecodeWhole compares DecodeWhole with a Reader and DecodeRequest, whatever the bytes and
// the limit.
func FuzzDecodeWhole(f *testing.F) {
	for _, v := range loadVectors(f) {
		if len(v.Bytes) < 500 {
			f.Add(v.Bytes, int16(64))
			f.Add(v.Bytes, int16(0))
		}
	}
	f.Add([]byte("\r\n {\"step_id\":1,\"data\":{\"a\":[1,\"}\"]}}\t\n"), int16(37))
	f.Fuzz(func(t *testing.T, b []byte, limit int16) { checkWhole(t, b, int(limit)) })
}

// checkWhole has DecodeWhole say the same as a Reader of the same bytes: a request when there is
// exactly one message, and it is one.
func checkWhole(t *testing.T, b []byte, limit int) {
	t.Helper()
	given := slices.Clone(b)
	got, whole := protocol.DecodeWhole(given, limit)
	if !bytes.Equal(given, b) {
		t.Errorf("DecodeWhole has changed what it was given")
	}
	for i := range given {
		given[i] = '#' // nothing in the result may be part of it
	}

	var want protocol.Request
	err := errors.New("not one message")
	if read := readAll(protocol.NewReader(bytes.NewReader(b), limit)); len(read.messages) == 1 && errors.Is(read.end, io.EOF) {
		want, err = protocol.DecodeRequest([]byte(read.messages[0]))
	}
	if whole != (err == nil) {
		t.Fatalf("%q within %d: got %t, a Reader says: %v", b, limit, whole, err)
	}
	if diff := cmp.Diff(want, got, compareReqs()); diff != "" {
		t.Errorf("Reader - DecodeWhole +\n%s", diff)
	}
}
