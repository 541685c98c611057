package testvectors_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/testkit/testvectors"
)

const sample = `# a comment

vector: two messages
send: {"step_id":1}\r\n\t\\\x00\xFF
repeat: 3 \x20a
send: {}
request: {"step_id":1}
reply: {"step_id":1,"error_code":0}
reply: {"step_id":null,"error_code":1,"reason":"bad_request"}
connection: open

vector: nothing
connection: cut
`

func TestParse(t *testing.T) {
	got, err := testvectors.Parse("sample.txt", strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := []testvectors.Vector{
		{
			Name: "two messages", File: "sample.txt", Line: 3,
			Bytes: []byte("{\"step_id\":1}\r\n\t\\\x00\xff a a a{}"),
			Exchanges: []testvectors.Exchange{
				{Line: 8, Request: `{"step_id":1}`, Reply: []byte(`{"step_id":1,"error_code":0}`)},
				{Line: 9, Reply: []byte(`{"step_id":null,"error_code":1,"reason":"bad_request"}`)},
			},
			Connection: testvectors.Open,
		},
		{Name: "nothing", File: "sample.txt", Line: 12, Connection: testvectors.Cut},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"sends: {}":                             `x.txt:2: unknown header "sends"`,
		"Send: {}":                              `x.txt:2: unknown header "Send"`,
		"send":                                  `x.txt:2: want "header: value", got "send"`,
		"send: \\":                              `x.txt:2: a single \ at the end`,
		"send: \\q":                             `x.txt:2: unknown escape \q`,
		"send: \\x1":                            `x.txt:2: unknown escape \x`,
		"send: \\xzz":                           `x.txt:2: unknown escape \xzz`,
		"repeat: a b":                           `x.txt:2: want "repeat: COUNT TEXT", got "a b"`,
		"repeat: 0 b":                           `x.txt:2: want "repeat: COUNT TEXT", got "0 b"`,
		"repeat: 5":                             `x.txt:2: want "repeat: COUNT TEXT", got "5"`,
		"reply: {}":                             "x.txt:2: bad_request: step_id is missing",
		`reply: {"step_id":1,"error_code":0`:    "x.txt:2: bad_message: the JSON object has no end",
		"reply: " + replyWith("timeout"):        `x.txt:2: no agent sends the reason "timeout"`,
		"request: {}\nrequest: {}":              "x.txt:3: the request before this one has no reply",
		"connection: half":                      `x.txt:2: connection must be open, closed or cut, got "half"`,
		"connection: open\nconnection: open":    "x.txt:3: connection appears twice",
		"send: {}":                              "x.txt:1: a: the header connection is missing",
		"connection: open\nrequest: {}":         "x.txt:1: a: the last request has no reply",
		"send: {}\nvector: b\nconnection: open": "x.txt:3: x.txt:1: a: the header connection is missing",
	} {
		_, err := testvectors.Parse("x.txt", strings.NewReader("vector: a\n"+text))
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
	_, err := testvectors.Parse("x.txt", strings.NewReader("send: {}"))
	if want := "x.txt:1: a vector must begin with the header vector"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func replyWith(reason string) string { return `{"step_id":1,"error_code":1,"reason":"` + reason + `"}` }

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := testvectors.Load(dir); err == nil {
		t.Error("a folder with no vectors was loaded")
	}
	write("b.txt", sample)
	write("README.md", "no vectors")
	vectors, err := testvectors.Load(dir)
	if err != nil || len(vectors) != 2 || vectors[0].File != "b.txt" {
		t.Errorf("%v, %v", vectors, err)
	}
	write("a.txt", "vector: nothing\nconnection: open\n")
	want := "b.txt:12: nothing: the name is taken by a.txt:1"
	if _, err := testvectors.Load(dir); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestCheck(t *testing.T) {
	exchange := testvectors.Exchange{Line: 3, Reply: []byte(`{"step_id":9007199254740993,"error_code":1,"reason":"out_of_order","req":7}`)}
	for reply, ok := range map[string]bool{
		`{"step_id":9007199254740993,"error_code":1,"reason":"out_of_order","req":7}` + "\n":      true,
		`{"req":7,"step_id":9007199254740993,"error_code":1,"reason":"out_of_order","detail":""}`: true,
		`{"step_id":9007199254740992,"error_code":1,"reason":"out_of_order","req":7}`:             false,
		`{"step_id":9007199254740993,"error_code":1,"reason":"out_of_order","req":"7"}`:           false,
		`{"step_id":9007199254740993,"error_code":1,"reason":"out_of_order"}`:                     false,
		`{"step_id":9007199254740993,"error_code":1,"reason":"out_of_order","req":7,"end":true}`:  false,
		`{"step_id":9007199254740993,"error_code":1,"reason":"timeout","req":7}`:                  false,
		`[]`: false,
		``:   false,
	} {
		if err := exchange.Check([]byte(reply)); (err == nil) != ok {
			t.Errorf("%s: %v", reply, err)
		}
	}
	missing := testvectors.Exchange{Reply: []byte(`{"step_id":null,"error_code":1}`)}
	if missing.Check([]byte(`{"error_code":1}`)) == nil {
		t.Error("a step_id that is missing was taken for one that is null")
	}
}
