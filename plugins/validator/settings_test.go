package validator_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/plugins/validator"
)

type sample struct {
	First   int64             `json:"first"`
	Small   int32             `json:"small"`
	Seconds float64           `json:"seconds"`
	Mode    string            `json:"mode"`
	On      bool              `json:"on"`
	Inner   inner             `json:"inner"`
	List    []inner           `json:"list"`
	Raw     []json.RawMessage `json:"raw"`
	Map     map[string]*inner `json:"map"`
	Embedded
	Untagged int
	Hidden   int `json:"-"`
}

type Embedded struct {
	Part int `json:"part"`
}

type inner struct {
	Delay *float64 `json:"delay"`
}

func TestDecodeSettingsKeepsDefaults(t *testing.T) {
	t.Parallel()
	for _, settings := range []string{"", " \n", "{}", "null", `{"first":null,"mode":null}`} {
		got := sample{First: 1, Mode: "advance"}
		if err := validator.DecodeSettings([]byte(settings), &got); err != nil {
			t.Errorf("%q: %v", settings, err)
		}
		if diff := cmp.Diff(sample{First: 1, Mode: "advance"}, got); diff != "" {
			t.Errorf("%q changed the defaults (-want +got):\n%s", settings, diff)
		}
	}
	if err := validator.DecodeSettings(nil, &sample{}); err != nil {
		t.Errorf("nil: %v", err)
	}
}

func TestDecodeSettingsReadsValues(t *testing.T) {
	t.Parallel()
	delay := 0.5
	got := sample{First: 1, Seconds: 5}
	err := validator.DecodeSettings([]byte(`{"first":-9223372036854775808,"mode":"hold","on":true,
		"list":[{"delay":0.5},{}],"raw":[{"a":1}]} `), &got)
	if err != nil {
		t.Fatal(err)
	}
	want := sample{First: -1 << 63, Seconds: 5, Mode: "hold", On: true,
		List: []inner{{Delay: &delay}, {}}, Raw: []json.RawMessage{[]byte(`{"a":1}`)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestDecodeSettingsNamesTheKey(t *testing.T) {
	t.Parallel()
	tests := []struct{ settings, want string }{
		{`{"frist":1}`, `frist: unknown key; the keys here are Untagged, first, inner, list, map, mode, on, part, raw, seconds, small`},
		{`{"a\"b":1}`, `a"b: unknown key; the keys here are Untagged, first, inner, list, map, mode, on, part, raw, seconds, small`},
		{`{"Seconds":7,"SECONDS":3}`, `Seconds: unknown key; did you mean seconds?`},
		{`{"seconds":7,"SECONDS":3}`, `SECONDS: unknown key; did you mean seconds?`},
		{`{"\u017feconds":7}`, `ſeconds: unknown key; did you mean seconds?`},
		{`{"inner":{"Delay":1}}`, `inner.Delay: unknown key; did you mean delay?`},
		{`{"list":[{"delay":1},{"de_lay":1}]}`, `list.de_lay: unknown key; did you mean delay?`},
		{`{"map":{"A":{"delay":1},"a":{"Delay":1}}}`, `map.a.Delay: unknown key; did you mean delay?`},
		{`{"part":1,"Part":2}`, `Part: unknown key; did you mean part?`},
		{`{"Untagged":1,"untagged":2}`, `untagged: unknown key; did you mean Untagged?`},
		{`{"hidden":1}`, `hidden: unknown key; the keys here are Untagged, first, inner, list, map, mode, on, part, raw, seconds, small`},
		{`{"seconds":7,"seconds":3}`, `seconds: duplicate key; remove one`},
		{`{"map":{"a":{},"a":{}}}`, `map.a: duplicate key; remove one`},
		{`{"raw":[{"a":1,"a":2}]}`, `raw.a: duplicate key; remove one`},
		{`{"first":"1"}`, `first: want a whole number, got a string`},
		{`{"first":1.5}`, `first: want a whole number of at most 64 bits, got 1.5`},
		{`{"first":9223372036854775808}`, `first: want a whole number of at most 64 bits, got 9223372036854775808`},
		{`{"small":2147483648}`, `small: want a whole number of at most 32 bits, got 2147483648`},
		{`{"seconds":1e999}`, `seconds: want a number of at most 64 bits, got 1e999`},
		{`{"seconds":[]}`, `seconds: want a number, got a list`},
		{`{"mode":1}`, `mode: want a string, got a number`},
		{`{"mode":false}`, `mode: want a string, got true or false`},
		{`{"on":{}}`, `on: want true or false, got a table`},
		{`{"list":{}}`, `list: want a list, got a table`},
		{`{"inner":{"delay":"x"}}`, `inner.delay: want a number, got a string`},
		{`{"list":[{},{"delay":"x"}]}`, `list.delay: want a number, got a string`},
		{`[]`, `want a table, got a list`},
		{`5`, `want a table, got a number`},
		{`{} {}`, `want one table, got more`},
		{`{} x`, `want one table, got more`},
		{`{"first":`, `unexpected EOF`},
		{`{first:1}`, `invalid character 'f' looking for beginning of object key string`},
	}
	for _, test := range tests {
		var into sample
		checkSettingError(t, test.settings, validator.DecodeSettings([]byte(test.settings), &into), test.want)
	}
}

func TestDecodeSettingsAtNamesThePath(t *testing.T) {
	t.Parallel()
	tests := []struct{ settings, want string }{
		{`{"delay":"x"}`, `plan[2].delay: want a number, got a string`},
		{`{"dealy":1}`, `plan[2].dealy: unknown key; the keys here are delay`},
		{`7`, `plan[2]: want a table, got a number`},
		{`{}{}`, `plan[2]: want one table, got more`},
		{`{`, `plan[2]: unexpected EOF`},
	}
	for _, test := range tests {
		var into inner
		checkSettingError(t, test.settings, validator.DecodeSettingsAt("plan[2]", []byte(test.settings), &into), test.want)
	}
}

func checkSettingError(t *testing.T, settings string, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %q", settings, want)
		return
	}
	if _, ok := errors.AsType[*validator.SettingError](err); !ok {
		t.Errorf("%s: error is a %T, want a *SettingError", settings, err)
	}
	if err.Error() != want {
		t.Errorf("%s:\n got %q\nwant %q", settings, err, want)
	}
}

func FuzzDecodeSettings(f *testing.F) {
	for _, seed := range []string{"", "null", `{"first":1,"list":[{"delay":1}]}`, `{"x":0}`, `[]`, `{}{}`, "\xff"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, settings []byte) {
		var into sample
		err := validator.DecodeSettings(settings, &into)
		if err == nil {
			return
		}
		wrong, ok := errors.AsType[*validator.SettingError](err)
		if !ok {
			t.Fatalf("error is a %T, want a *SettingError: %v", err, err)
		}
		if wrong.Problem == "" {
			t.Error("a problem without words")
		}
	})
}
