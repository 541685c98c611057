package rules_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/rules"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

var _ validator.Factory = rules.New

func newRules(t testing.TB, settings string) validator.Validator {
	t.Helper()
	v, err := rules.New([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// one returns the settings of one rule.
func one(expression string) string {
	b, err := json.Marshal(map[string]any{"rule": []any{map[string]any{"name": "r", "expression": expression}}})
	if err != nil {
		panic(err) // strings
	}
	return string(b)
}

const sample = `{"voltage":12.5,"count":3,"ok":true,"name":"pump","null":null,"big":3000000000,"cells":[1,2,3,4,5],
	"parts":[{"v":4},{"w":5}],"deep":{"er":{"x":1}},"two words":2}`

func judge(t testing.TB, v validator.Validator, id int64, data string) validator.Verdict {
	t.Helper()
	step := validator.Step{ID: id, At: 1500 * time.Millisecond,
		Timeout: validator.Wait{Duration: 5 * time.Second, Declared: true},
		Gap:     validator.Wait{Duration: 250 * time.Millisecond, Declared: true}}
	if data != "" {
		step.Data = []byte(data)
	}
	got, err := v.Validate(t.Context(), validator.Session{ID: "s", Position: 2, Steps: 10}, step)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Check(); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	const broken = "does not hold"
	for expression, want := range map[string]string{ // the end of the detail; empty for a pass
		`session.position == 2 and session.steps == 10`:           "",
		`step.id == 3 and step.at == 1.5`:                         "",
		`step.timeout == 5 and step.gap == 0.25`:                  "",
		`step.interval > 1`:                                       "step.interval is missing",
		`"interval" in step`:                                      broken,
		`(step?.interval ?? 2) == 2`:                              "",
		`data.voltage > 12`:                                       "",
		`data.voltage > 13`:                                       broken,
		`data.temperature > 13`:                                   "data.temperature is missing",
		`data.mode != "off"`:                                      "data.mode is missing",
		`data.deep.er.x == 1`:                                     "",
		`data.deep.mid.x == 1`:                                    "data.deep.mid is missing",
		`data["two words"] == 2`:                                  "",
		`data[data.name] != 2`:                                    "data[...] is missing",
		`data.voltage.x == 2`:                                     "there is no data.voltage.x: a number has no fields",
		`data.null == nil`:                                        "",
		`data.null > 1`:                                           "line 1, column 11: invalid operation: nothing > number",
		`data.name > 1`:                                           "line 1, column 11: invalid operation: string > number",
		`data?.nothing == nil`:                                    "",
		`data?.nothing.further == nil`:                            "there is no data.nothing.further: nothing has no fields",
		`data?.nothing?.further == nil`:                           "",
		`data?.nothing?.further.still == nil`:                     "",
		`data?.deep.mid == nil`:                                   "data.deep.mid is missing",
		`data?.deep?.mid == nil and (data?.deep?.er.x ?? 2) == 1`: "",
		`data?.deep.er.x == 1`:                                    "",
		`data?.nothing > 1`:                                       "invalid operation: nothing > number",
		`not ("mode" in data) or data.mode == "off"`:              "",
		`data.ok`:             "",
		`data.count`:          "gives a number, where it must give true or false",
		`data.count and true`: "wrong type: got number, want true or false",
		`data.cells[0] == 1 and data.cells[-1] == 5`:                            "",
		`data.cells[5] == 1`:                                                    "data.cells[5] is missing",
		`data.cells["x"] == 1`:                                                  "there is no data.cells.x: a list has whole numbers, got a string",
		`data.cells[1:3] == [2, 3]`:                                             "",
		`all(data.cells, # > 0) and any(data.cells, # > 4)`:                     "",
		`one(data.cells, # > 4) and none(data.cells, # > 5)`:                    "",
		`count(data.cells, # > 2) == 3`:                                         "",
		`filter(data.cells, # > 3) == [4, 5]`:                                   "",
		`find(data.cells, # > 3) == 4`:                                          "",
		`findIndex(data.cells, # > 3) == 3`:                                     "",
		`all(data.parts, .v > 3)`:                                               "#.v is missing",
		`all(data.parts, (#?.v ?? 4) > 3)`:                                      "",
		`sum(data.cells) == 15 and mean(data.cells) == 3`:                       "",
		`sum(data.parts) == 15`:                                                 "sum is for numbers, got a number and a table",
		`sum(data.name) == 15`:                                                  "sum wants a list, got a string",
		`median(data.cells) == 3 and max(data.cells) == 5`:                      "",
		`data.name matches "^p.mp$" and data.name contains "um"`:                "",
		`upper(data.name) == "PUMP" and len(data.name) == 4`:                    "",
		`data.name + "s" == "pumps"`:                                            "+ is for numbers, got a string and a string",
		`float("2.5") == 2.5`:                                                   "",
		`data.count * 2 - 1 == 5`:                                               "",
		`data.count % 2 == 1`:                                                   "",
		`data.big % 2 == 1`:                                                     "invalid operation: number % number",
		`data.big == 3e9 and data.count * 1000000000 == 3e9`:                    "",
		`2147483647 + data.count == 2147483650.0 and -data.count == -3`:         "",
		`data.count / 2 == 1.5 and data.count / 0 > 1e300`:                      "",
		`data.count % 0 == 1`:                                                   "integer divide by zero",
		`step.id in 1..3 and step.id not in [4, 5]`:                             "",
		`any(1..3, # == step.id)`:                                               "",
		`let low = data.voltage - 1; low > 11`:                                  "",
		`if step.id == 3 { true } else { data.nothing }`:                        "",
		`any(data.cells, any(1..99999, any(1..99999, false)))`:                  "memory budget exceeded",
		`all(1..90000, true) and all(1..9000, true)`:                            "",
		`all(1..90000, true) and all(1..19000, true)`:                           "memory budget exceeded",
		strings.Repeat("all(data.cells, ", 8) + "true" + strings.Repeat(")", 8): "takes more than 100000 rounds with this data",
	} {
		got := judge(t, newRules(t, one(expression)), 3, sample)
		if (got.Outcome == validator.Pass) != (want == "") || !strings.HasSuffix(got.Detail, want) {
			t.Errorf("%s: got %v, %s, want %q", expression, got.Outcome, got.Detail, want)
		}
		if got.Outcome == validator.Fail && (got.Reason != validator.RuleBroken || !strings.HasPrefix(got.Detail, "rule r: ")) {
			t.Errorf("%s: got %s, %s", expression, got.Reason, got.Detail)
		}
	}
}

func TestData(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		``: "data.x is missing", `{}`: "data.x is missing", `{"x":1}`: "", `{"x":1.0}`: "", `{"x":1e0}`: "", `{"x":true}`: "does not hold",
		`null`: "the data is no JSON object", `[]`: "the data is no JSON object", `{`: "the data is no JSON object",
		`{}{}`: "the data is more than one JSON object", `{"x":1,"y":{"z":[1e999]}}`: "the number 1e999 in the data is too large",
	} {
		got := judge(t, newRules(t, one(`data.x == 1`)), 3, data)
		if (got.Outcome == validator.Pass) != (want == "") || !strings.HasSuffix(got.Detail, want) {
			t.Errorf("%s: got %v, %s, want %q", data, got.Outcome, got.Detail, want)
		}
	}
	if got := judge(t, newRules(t, one(`step.id == 3`)), 3, `null`); got.Outcome != validator.Pass {
		t.Errorf("a rule that does not look at the data got %v, %s", got.Outcome, got.Detail)
	}
	for _, id := range []int64{math.MinInt64, math.MaxInt64, math.MaxInt32, math.MaxInt32 + 1} {
		if got := judge(t, newRules(t, one(fmt.Sprintf("step.id == %d.0", id))), id, ""); got.Outcome != validator.Pass {
			t.Errorf("step id %d: got %s", id, got.Detail)
		}
	}
}

func TestTheFirstBrokenRuleSpeaks(t *testing.T) {
	t.Parallel()
	v := newRules(t, `{"rule":[
		{"name":"holds","expression":"true"},
		{"name":"patience","expression":"step.id < 3","reason":"timeout_too_short","detail":"too\n hasty"},
		{"name":"never","expression":"false"}]}`)
	got := judge(t, v, 3, "")
	if got.Reason != validator.TimeoutTooShort || got.Detail != "rule patience: too hasty" {
		t.Errorf("got %s, %s", got.Reason, got.Detail)
	}
	if got := judge(t, v, 2, ""); got.Detail != "rule never: false does not hold" {
		t.Errorf("got %s", got.Detail)
	}
	long := judge(t, newRules(t, one(strings.Repeat("false and ", 80)+"'ä' == 'b'")), 3, "")
	if len(long.Detail) > validator.MaxDetailBytes {
		t.Errorf("a detail of %d bytes", len(long.Detail))
	}
}

// TestTime: a rule that takes long ends with the context, undecided.
func TestTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	got, err := newRules(t, one(`all(1..1000, true)`)).Validate(ctx, validator.Session{Steps: 10}, validator.Step{ID: 1})
	if err == nil || err.Error() != "rule r: enough" || got.Outcome != validator.Undecided {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{
		`data.voltage > 12 and data.ok`,
		`(data?.voltage ?? 1) > 0 and (step?.gap ?? 0) < 2`,
		`session.position < session.steps and step.id % 2 == 0 and any(1..100, # == step.id)`,
	} {
		validatortest.Check(t, func() validator.Validator { return newRules(t, one(expression)) },
			validatortest.Options{Data: [][]byte{[]byte(sample), []byte(`{"voltage":13}`)}})
	}
}

func BenchmarkValidate(b *testing.B) {
	for _, expression := range []string{`step.id < 100`, `data.voltage >= 12 and data.voltage <= 28`, `all(data.cells, # >= 1 and # <= 5)`} {
		b.Run(expression, func(b *testing.B) {
			v := newRules(b, one(expression))
			step := validator.Step{ID: 1, Data: []byte(sample)}
			b.ReportAllocs()
			for b.Loop() {
				if got, err := v.Validate(b.Context(), validator.Session{Steps: 10}, step); err != nil || got.Outcome != validator.Pass {
					b.Fatal(got, err)
				}
			}
		})
	}
}
