package protocol

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var reqs = cmp.AllowUnexported(ReqID{})

// What clients send every day is read the short way.
func TestPlainRequests(t *testing.T) {
	for _, message := range []string{
		`{"step_id":1}`, `{"step_id": 3, "timeout": 5, "interval": 0.5}`, ` { "step_id" : -7 , "timeout" : 7.7 } `,
		`{"session":"bench-7","step_id":10,"req":1}`, `{"step_id":1,"req":"a b"}`, "{\"step_id\":0,\n\t\"timeout\":0.01}",
	} {
		var got Request
		if !readPlain([]byte(message), &got) {
			t.Errorf("%s is not read", message)
			continue
		}
		want, err := decodeRequest([]byte(message))
		if diff := cmp.Diff(want, got, reqs); diff != "" || err != nil {
			t.Errorf("%s: %v %s", message, err, diff)
		}
	}
}

// What is wrong or unusual is left to the tokenizer.
func TestNotPlainRequests(t *testing.T) {
	for _, message := range []string{
		``, `{`, `{}`, `[]`, `{"step_id":1`, `{"step_id":1}}`, `{"step_id":1},`, `{"step_id":1,}`, `{,"step_id":1}`, `{"step_id":1 "timeout":1}`,
		`{"step_id"}`, `{"step_id":}`, `{"step_id":"1"}`, `{"step_id":1.0}`, `{"step_id":01}`, `{"step_id":-}`, `{"step_id":+1}`, `{"step_id":1e0}`,
		`{"step_id":null}`, `{"step_id":9223372036854775808}`, `{"step_id":1,"step_id":1}`, `{"timeout":1}`, `{"step_id":1,"timeout":-1}`,
		`{"step_id":1,"timeout":1.}`, `{"step_id":1,"timeout":.5}`, `{"step_id":1,"timeout":1e3}`, `{"step_id":1,"timeout":1.5E3}`,
		`{"step_id":1,"session":""}`, `{"step_id":1,"session":"é"}`, `{"step_id":1,"session":"\u0041"}`, `{"step_id":1,"session":7}`,
		`{"step_id":1,"session":"` + strings.Repeat("x", 65) + `"}`, `{"step_id":1,"req":""}`, `{"step_id":1,"req":1.0}`, `{"step_id":1,"req":true}`,
		`{"step_id":1,"data":{}}`, `{"step_id":1,"other":1}`, `{"STEP_ID":1}`, `{"step\u005fid":1}`, "{\"step_id\":1\x00}", "{\"step_id\":1,\"session\":\"\x7f\"}",
	} {
		if readPlain([]byte(message), new(Request)) {
			t.Errorf("%s is read", message)
		}
	}
}

// What readPlain accepts, decodeRequest decodes to the same request.
func FuzzReadPlain(f *testing.F) {
	f.Add([]byte(`{"step_id": 3, "timeout": 5.25, "interval": 0, "session": "a b", "req": -1}`))
	f.Add([]byte(`{"step_id":-0,"req":"x","timeout":99999999999999999999.9}`))
	f.Fuzz(func(t *testing.T, message []byte) {
		var got Request
		if !readPlain(message, &got) {
			return
		}
		want, err := decodeRequest(message)
		if diff := cmp.Diff(want, got, reqs); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}
