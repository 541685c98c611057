package protocol_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/protocol"
)

// compareReqs lets cmp look into a ReqID.
func compareReqs() cmp.Option {
	return cmp.Comparer(func(a, b protocol.ReqID) bool { return a == b })
}

func ref(id int64) *int64 { return &id }

// TestDecodeRequestDetails checks what people read. That the messages are refused at all is
// the vectors' part.
func TestDecodeRequestDetails(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	for message, want := range map[string]string{
		`{}`:                                                    "bad_request: step_id is missing",
		`{"step_id":"1"}`:                                       `bad_request: step_id must be an integer, got "1"`,
		`{"step_id":9223372036854775808}`:                       "bad_request: step_id must fit 64 bits, got 9223372036854775808",
		`{"step_id":1,"timeout":"5"}`:                           `bad_request: timeout must be a number of seconds, 0 or more, got "5"`,
		`{"step_id":1,"interval":-1}`:                           "bad_request: interval must be a number of seconds, 0 or more, got -1",
		`{"step_id":1,"timeout":1e400}`:                         "bad_request: timeout must be a finite number of seconds, got 1e400",
		`{"step_id":1,"session":""}`:                            `bad_request: session must be a string of 1 to 64 printable ASCII characters, got ""`,
		`{"step_id":1,"req":null}`:                              "bad_request: req must be a string of 1 to 64 bytes or a 64-bit integer, got null",
		`{"step_id":1,"data":[1]}`:                              "bad_request: data must be an object, got [1]",
		`{"step_id":1,"step_id":1}`:                             "bad_request: name step_id appears twice",
		`{"step_id":1,"data":{"a/b":[{"c":1,"c":2}]}}`:          "bad_request: name c appears twice in /data/a~1b/0",
		`{"step_id":1,"a\u000ab":1,"a\nb":1}`:                   `bad_request: name a\nb appears twice`,
		`{"step_id":null,"timeout":"5"}`:                        "bad_request: step_id must be an integer, got null",
		`{"timeout":"5","step_id":null}`:                        `bad_request: timeout must be a number of seconds, 0 or more, got "5"`,
		`{"timeout":"5","timeout":5}`:                           `bad_request: timeout must be a number of seconds, 0 or more, got "5"`,
		`{"timeout":5,"timeout":"5","data":1}`:                  "bad_request: name timeout appears twice",
		`{"timeout":5,"data":[{"a":1,"a":1}]}`:                  "bad_request: name a appears twice in /data/0",
		`{"data":0,"timeout":5}`:                                "bad_request: data must be an object, got 0",
		`{"step_id":"` + long + `"}`:                            `bad_request: step_id must be an integer, got "` + long[:76] + "...",
		"{\"step_id\":1,\"data\":[1,\n\t\"\x7f\u202e\u00e9\"]}": `bad_request: data must be an object, got [1,\n\t"\x7f\u202eé"]`,
		``:                           "bad_message: a message must be a JSON object",
		`[]`:                         "bad_message: a message must be a JSON object",
		`{"step_id":1`:               "bad_message: the JSON object has no end",
		`{"step_id":1} x`:            "bad_message: something follows the JSON object",
		`{"step_id":1}{"step_id":2}`: "bad_message: something follows the JSON object",
		`{"step_id":1,}`:             "bad_message: not valid JSON at byte 12: invalid character ',' at start of value",
		"{\"step_id\":1\x00}":        `bad_message: not valid JSON at byte 12: invalid character '\x00' after object value (expecting ',' or '}')`,
		strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65): "bad_message: nested deeper than 64 levels",
	} {
		_, err := protocol.DecodeRequest([]byte(message))
		if _, ok := errors.AsType[*protocol.Error](err); !ok || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", message, err, want)
		}
	}
}

// TestDecodeRequestOwnsItsBytes changes the message after it was decoded.
func TestDecodeRequestOwnsItsBytes(t *testing.T) {
	message := []byte(`{"step_id":1,"session":"run","req":"r","data":{"a":1}}`)
	got, err := protocol.DecodeRequest(message)
	if err != nil {
		t.Fatal(err)
	}
	clear(message)
	want := protocol.Request{StepID: 1, Session: "run", Req: protocol.TextReq("r"), Data: []byte(`{"a":1}`)}
	if diff := cmp.Diff(want, got, compareReqs()); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeReply(t *testing.T) {
	for message, want := range map[string]protocol.Reply{
		`{"step_id":3,"error_code":0}`:                       {StepID: ref(3)},
		` {"error_code":2,"step_id":-1} ` + "\n":             {StepID: ref(-1), ErrorCode: 2},
		`{"step_id":null,"error_code":1}`:                    {ErrorCode: 1},
		`{"step_id":3,"error_code":0,"uptime":5,"data":[]}`:  {StepID: ref(3)},
		`{"step_id":3,"error_code":0,"end":true}`:            {StepID: ref(3), End: true},
		`{"step_id":3,"error_code":0,"end":false}`:           {StepID: ref(3)},
		`{"step_id":3,"error_code":1,"reason":"of_its_own"}`: {StepID: ref(3), ErrorCode: 1, Reason: "of_its_own"},
		`{"step_id":3,"error_code":1,"req":"a\nb","session":"s","reason":"out_of_order","detail":"\u00e9 \"x\""}`: {StepID: ref(3),
			ErrorCode: 1, Req: protocol.TextReq("a\nb"), Session: "s", Reason: protocol.OutOfOrder, Detail: `é "x"`},
	} {
		got, err := protocol.DecodeReply([]byte(message))
		if err != nil {
			t.Errorf("%s: %v", message, err)
		} else if diff := cmp.Diff(want, got, compareReqs()); diff != "" {
			t.Errorf("%s: %s", message, diff)
		}
	}
}

func TestDecodeReplyRefuses(t *testing.T) {
	for message, want := range map[string]string{
		`{}`:                                        "bad_request: step_id is missing",
		`{"step_id":1}`:                             "bad_request: error_code is missing",
		`{"error_code":0}`:                          "bad_request: step_id is missing",
		`{"step_id":"1","error_code":0}`:            `bad_request: step_id must be an integer, got "1"`,
		`{"step_id":1,"error_code":null}`:           "bad_request: error_code must be an integer, got null",
		`{"step_id":1,"error_code":0.0}`:            "bad_request: error_code must be an integer, got 0.0",
		`{"step_id":1,"error_code":0,"reason":1}`:   "bad_request: reason must be a string, got 1",
		`{"step_id":1,"error_code":0,"detail":{}}`:  "bad_request: detail must be a string, got {}",
		`{"step_id":1,"error_code":0,"session":[]}`: "bad_request: session must be a string, got []",
		`{"step_id":1,"error_code":0,"end":"true"}`: `bad_request: end must be true or false, got "true"`,
		`{"step_id":1,"error_code":0,"req":true}`:   "bad_request: req must be a string of 1 to 64 bytes or a 64-bit integer, got true",
		`{"step_id":1,"step_id":1,"error_code":0}`:  "bad_request: name step_id appears twice",
		`{"step_id":1,"error_code":0,}`:             "bad_message: not valid JSON at byte 27: invalid character ',' at start of value",
		`OK`:                                        "bad_message: a message must be a JSON object",
	} {
		_, err := protocol.DecodeReply([]byte(message))
		if _, ok := errors.AsType[*protocol.Error](err); !ok || err.Error() != want {
			t.Errorf("%s:\n got %v\nwant %s", message, err, want)
		}
	}
}

// TestDecodeReplyErrorNamesTheStep lets a client tell which step a bad reply was for.
func TestDecodeReplyErrorNamesTheStep(t *testing.T) {
	_, err := protocol.DecodeReply([]byte(`{"error_code":"0","step_id":3,"req":7}`))
	bad, ok := errors.AsType[*protocol.Error](err)
	if !ok || bad.StepID == nil || *bad.StepID != 3 || bad.Req != protocol.NumReq(7) {
		t.Errorf("%+v", err)
	}
}

func TestPrintable(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{
		{"", 5, ""},
		{"12345", 5, "12345"},
		{"123456", 5, "12..."},
		{"ééé", 6, "ééé"},
		{"éééé", 6, "é..."},
		{"\n\n\n", 6, `\n\n\n`},
		{"\n\n\n\n", 6, `\n...`},
		{"\xef\xbb", 20, `\xef\xbb`},
		{"\ufffd\ufeff\u00a0", 20, "\ufffd" + `\ufeff\u00a0`},
	} {
		if got := protocol.Printable(c.text, c.limit); got != c.want {
			t.Errorf("printable(%q, %d) = %q, want %q", c.text, c.limit, got, c.want)
		}
	}
}
