package stepfile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// tenSteps is a sound procedure, with the n-th step replaced. Step n is in line n+1.
func tenSteps(replace map[int]string) string {
	var steps []string
	for n := 1; n <= 10; n++ {
		step, ok := replace[n]
		if !ok {
			step = fmt.Sprintf(`{"step_id":%d,"timeout":5,"interval":0.5}`, n)
		}
		steps = append(steps, step)
	}
	return "{\"test_services\":[\n" + strings.Join(steps, ",\n") + "\n]}\n"
}

// one is a sound procedure with the third step replaced.
func one(step string) string { return tenSteps(map[int]string{3: step}) }

func TestParseFindings(t *testing.T) {
	tests := []struct {
		name, file string
		want       []string
	}{
		{"sound", tenSteps(nil), nil},

		// The file as a whole.
		{"empty", "", []string{`1:1: the file is empty; write {"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`}},
		{"blank", " \n\n", []string{`1:1: the file is empty; write {"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`}},
		{"byte order mark", "\xef\xbb\xbf{}", []string{`1:1: the file begins with a byte order mark; save it as UTF-8 without one`}},
		{"UTF-16", "\xff\xfe{\x00}\x00", []string{`1:1: the file is UTF-16; save it as UTF-8`}},
		{"list", "\n[1]", []string{`2:1: the file must be one object, not a list; write {"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`}},
		{"no JSON", "step_id: 1\n", []string{`1:1: not valid JSON: invalid character 's' at start of value`}},
		{"cut", "{\"test_services\":[\n{\"step_id\":1", []string{`2:13: step 1: not valid JSON: the file ends in the middle`}},
		{"trailing comma", "{\"test_services\":[\n{\"step_id\":1,}]}", []string{`2:13: step 1: not valid JSON: nothing follows this comma but '}'; remove it`}},
		{"trailing comma in the list", "{\"test_services\":[{\"step_id\":1,\"timeout\":5} ,\n]}", []string{`1:45: step 2: not valid JSON: nothing follows this comma but ']'; remove it`}},
		{"trailing data", tenSteps(nil) + "  {}", []string{`13:3: something follows the procedure; a step file is one object`}},
		{"trailing garbage", tenSteps(nil) + "  }", []string{`13:3: not valid JSON: invalid character '}' at start of value`}},
		{"invalid UTF-8", one("{\"step_id\":3,\"timeout\":5,\"\xff\":5}"), []string{`4:27: step 3: not valid JSON: invalid UTF-8`}},
		{"no object", "{}", []string{`1:1: test_services: is missing; write {"test_services":[{"step_id":1,"timeout":5,"interval":1}]}`}},
		{"wrong top key", `{ "steps": []}`, []string{`1:3: unknown key "steps"; did you mean "test_services"?`}},
		{"unknown top key", strings.Replace(tenSteps(nil), "{", `{"name":"x",`, 1), []string{`1:2: warning: unknown key "name" is ignored`}},
		{"top key twice", `{"test_services":[],"test_services":[]}`, []string{
			`1:18: test_services: has no steps; a run of nothing is never a pass`,
			`1:21: key "test_services" is there twice, first in line 1; keep one`}},
		{"no list", `{"test_services":{}}`, []string{`1:18: test_services: must be a list of steps, not an object`}},
		{"no steps", `{"test_services":[ ]}`, []string{`1:18: test_services: has no steps; a run of nothing is never a pass`}},

		// Steps.
		{"no object in the list", one("  null"), []string{`4:3: step 3: must be an object with step_id, timeout and interval, not null`}},
		{"nothing in a step", one("  {}"), []string{
			`4:3: step 3: step_id: is missing; write the number of the step`,
			`4:3: step 3: timeout: is missing; write the seconds that the client waits for the reply`}},
		{"interval may be missing", one(`{"step_id":3,"timeout":5}`), nil},
		{"case", one(`{"Step_ID":3,"timeOut":5,"Interval":1}`), []string{
			`4:2: step 3: unknown key "Step_ID"; did you mean "step_id"?`,
			`4:14: step 3: unknown key "timeOut"; did you mean "timeout"?`,
			`4:26: step 3: unknown key "Interval"; did you mean "interval"?`}},
		{"typing", one(`{"stepid":3,"timeotu":5,"intervall":1}`), []string{
			`4:2: step 3: unknown key "stepid"; did you mean "step_id"?`,
			`4:13: step 3: unknown key "timeotu"; did you mean "timeout"?`,
			`4:25: step 3: unknown key "intervall"; did you mean "interval"?`}},
		{"nearly a key that is there", one(`{"step_id":3,"timeout":5,"Timeout":5,"x\u001b":1}`), []string{
			`4:26: warning: step 3: unknown key "Timeout" is ignored`,
			`4:38: warning: step 3: unknown key "x\x1b" is ignored`}},
		{"twice", one("{\"step_id\":3,\n\"timeout\":5,\"step_id\":3}"), []string{
			`5:13: step 3: key "step_id" is there twice, first in line 4; keep one`}},

		// Numbers.
		{"null", one(`{"step_id":null,"timeout":null,"interval":null}`), []string{
			`4:12: step 3: step_id: must be a whole number, not null`,
			`4:27: step 3: timeout: must be a number of seconds, not null`,
			`4:43: step 3: interval: must be a number of seconds, not null`}},
		{"strings", one(`{"step_id":"3","timeout":"5","interval":"soon"}`), []string{
			`4:12: step 3: step_id: must be a whole number, not a string; write it without the quotes`,
			`4:26: step 3: timeout: must be a number of seconds, not a string; write it without the quotes`,
			`4:41: step 3: interval: must be a number of seconds, not a string`}},
		{"fractions of a step", one(`{"step_id":1.0,"timeout":5}`), []string{
			`4:12: step 3: step_id: must be a whole number, not 1.0; write it without a fraction or an exponent`}},
		{"exponent of a step", one(`{"step_id":3e0,"timeout":5}`), []string{
			`4:12: step 3: step_id: must be a whole number, not 3e0; write it without a fraction or an exponent`}},
		{"65 bits", one(`{"step_id":9223372036854775808,"timeout":5}`), []string{
			`4:12: step 3: step_id: 9223372036854775808 does not fit into 64 bits`}},
		{"negative", one(`{"step_id":3,"timeout":-5,"interval":-0.5}`), []string{
			`4:24: step 3: timeout: must not be negative, got -5`,
			`4:38: step 3: interval: must not be negative, got -0.5`}},
		{"too long", one(`{"step_id":3,"timeout":1e400,"interval":3153600001}`), []string{
			`4:24: step 3: timeout: 1e400 s is longer than the longest wait, 3153600000 s`,
			`4:41: step 3: interval: 3153600001 s is longer than the longest wait, 3153600000 s`}},
		{"infinite", one(`{"step_id":3,"timeout":Infinity}`), []string{
			`4:24: step 3: not valid JSON: invalid character 'I' at start of value`}},
		{"truth", one(`{"step_id":true,"timeout":[5]}`), []string{
			`4:12: step 3: step_id: must be a whole number, not true or false`,
			`4:27: step 3: timeout: must be a number of seconds, not a list`}},

		// Data.
		{"data", one(`{"step_id":3,"timeout":5,"data":{"a":[1,{}]}}`), nil},
		{"data is no object", one(`{"step_id":3,"timeout":5,"data":[]}`), []string{
			`4:33: step 3: data: must be an object, not a list`}},
		{"twice in data", one("{\"step_id\":3,\"timeout\":5,\"data\":\n  {\"a\":1,\"a\":2}}"), []string{
			`5:10: step 3: data: duplicate object member name`}},

		// Warnings.
		{"outside", one(`{"step_id":100,"timeout":5}`), []string{`4:12: warning: step 3: step_id: 100 is outside 1..10`}},
		{"below", one(`{"step_id":-1,"timeout":5}`), []string{`4:12: warning: step 3: step_id: -1 is outside 1..10`}},
		{"used", one(`{"step_id":2,"timeout":5}`), []string{`4:12: warning: step 3: step_id: 2 is there already, in line 3`}},
		{"out of order", tenSteps(map[int]string{3: `{"step_id":4,"timeout":5}`, 4: `{"step_id":3,"timeout":5}`}), []string{
			`4:12: warning: step 3: step_id: 4 is out of order; ids go up by one, and 3 comes here; likewise in 1 more: step 4`}},
		{"short timeout", one(`{"step_id":3,"timeout":4.999}`), []string{
			`4:24: warning: step 3: timeout: 4.999 s is below the usual minimum of 5 s`}},
		{"one step", `{"test_services":[{"step_id":1,"timeout":5}]}`, []string{
			`1:18: warning: test_services: the number of steps is 1; a session of the agent has 10 unless set otherwise`}},
		{"eleven steps", tenSteps(map[int]string{10: "{\"step_id\":10,\"timeout\":5},\n{\"step_id\":11,\"timeout\":5}"}), []string{
			`1:18: warning: test_services: the number of steps is 11; a session of the agent has 10 unless set otherwise`,
			`12:12: warning: step 11: step_id: 11 is outside 1..10`}},

		{"all at once", tenSteps(map[int]string{2: `{"step_id":2,"timeout":"5"}`, 7: "8"}), []string{
			`3:24: step 2: timeout: must be a number of seconds, not a string; write it without the quotes`,
			`8:1: step 7: must be an object with step_id, timeout and interval, not a number`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			procedure, findings := stepfile.Parse("x.json", []byte(test.file))
			var got []string
			sound := true
			for _, finding := range findings {
				got = append(got, finding.String())
				sound = sound && finding.Warning
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if sound != (len(procedure.Steps) > 0) {
				t.Errorf("sound is %v, and there are %d steps", sound, len(procedure.Steps))
			}
		})
	}
}

func TestParseSteps(t *testing.T) {
	file := `{"test_services":[
	{"step_id":-9223372036854775808,"timeout":0.01,"interval":0},
	{"step_id":9223372036854775807,"timeout":3153600000,"interval":0.000000001},
	  {"data":{"n": 1.0,
	           "s":" \u00e9"},"interval":7.7,"timeout":0.29,"step_id":-0}]}`
	got, _ := stepfile.Parse("some name", []byte(file))
	want := stepfile.Procedure{
		Name:   "some name",
		SHA256: "21ab54a59df5d2af74511883f3cf6e0984a3e895b45ff7b2d09931927b3d6cb4",
		Steps: []stepfile.Step{
			{ID: -1 << 63, Timeout: 10 * time.Millisecond, Line: 2, Column: 2},
			{ID: 1<<63 - 1, Timeout: stepfile.MaxWait, Interval: 1, Line: 3, Column: 2},
			{Timeout: 290 * time.Millisecond, Interval: 7700 * time.Millisecond,
				Data: []byte(`{"n":1.0,"s":" \u00e9"}`), Line: 4, Column: 4},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("procedure (-want +got):\n%s", diff)
	}
}

// Every number of milliseconds is parsed exactly, although its float64 is not exact.
func TestParseSecondsExactly(t *testing.T) {
	var steps []string
	for ms := range 20000 {
		steps = append(steps, fmt.Sprintf(`{"step_id":1,"timeout":%d.%03d}`, ms/1000, ms%1000))
	}
	procedure, _ := stepfile.Parse("", []byte(`{"test_services":[`+strings.Join(steps, ",")+"]}"))
	if len(procedure.Steps) != len(steps) {
		t.Fatalf("%d steps, want %d", len(procedure.Steps), len(steps))
	}
	for ms, step := range procedure.Steps {
		if step.Timeout != time.Duration(ms)*time.Millisecond {
			t.Errorf("%s gave %v", steps[ms], step.Timeout)
		}
	}
}

// many returns a step file of n steps.
func many(n int, step func(place int) string) []byte {
	steps := make([]string, n)
	for i := range steps {
		steps[i] = step(i + 1)
	}
	return []byte(`{"test_services":[` + strings.Join(steps, ",\n") + "]}")
}

// What is wrong with many steps in the same way is one finding, which counts them and names them
// as spans.
func TestEqualFindingsAreOne(t *testing.T) {
	file := many(40000, func(place int) string {
		switch {
		case place == 2:
			return `{"step_id":2,"timeout":1,"note":0}`
		case place <= 10:
			return fmt.Sprintf(`{"step_id":%d,"timeout":5}`, place)
		case place%2 == 0:
			return fmt.Sprintf(`{"step_id":%d,"timeout":1}`, place)
		default:
			return fmt.Sprintf(`{"step_id":%d,"timeout":5,"note":0}`, place)
		}
	})
	procedure, findings := stepfile.Parse("", file)
	want := []string{
		"1:18: warning: test_services: the number of steps is 40000; a session of the agent has 10 unless set otherwise",
		"2:24: warning: step 2: timeout: 1 s is below the usual minimum of 5 s; likewise in 19995 more: " +
			"steps 12, 14, 16, 18, 20, 22, 24, 26 and others",
		`2:26: warning: step 2: unknown key "note" is ignored; likewise in 19995 more: steps 11, 13, 15, 17, 19, 21, 23, 25 and others`,
		"11:12: warning: step 11: step_id: 11 is outside 1..10; likewise in 39989 more: steps 12 to 40000",
	}
	if diff := cmp.Diff(want, texts(findings)); diff != "" || len(procedure.Steps) != 40000 {
		t.Errorf("%d steps, %s", len(procedure.Steps), diff)
	}
	for step, want := range map[string][]string{
		"{}": {
			"1:19: step 1: step_id: is missing; write the number of the step; likewise in 999 more: steps 2 to 1000",
			"1:19: step 1: timeout: is missing; write the seconds that the client waits for the reply; likewise in 999 more: steps 2 to 1000",
		},
		"1": {"1:19: step 1: must be an object with step_id, timeout and interval, not a number; likewise in 999 more: steps 2 to 1000"},
	} {
		_, findings := stepfile.Parse("", many(1000, func(int) string { return step }))
		if diff := cmp.Diff(want, texts(findings[1:])); diff != "" {
			t.Error(diff)
		}
	}
}

func texts(findings []stepfile.Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, f.String())
	}
	return all
}

// Findings that differ are shown up to a number, and counted beyond it.
func TestParseManyErrors(t *testing.T) {
	for step, more := range map[string]string{
		`{"step_id":1.%d,"timeout":5}`: "901", `{"step_id":1.%[1]d,"timeout":-%[1]d}`: "1902",
	} {
		file := many(1001, func(place int) string { return fmt.Sprintf(step, place) })
		_, findings := stepfile.Parse("", file)
		var unsound *stepfile.Error
		if !errors.As(stepfile.AsError("", findings), &unsound) {
			t.Fatalf("%s is sound", step)
		}
		errs := unsound.Findings
		if last := errs[len(errs)-1].Message; last != "the number of further errors is "+more {
			t.Errorf("%s: the last error is %q", step, last)
		}
		if len(errs) != stepfile.MaxFindings+1 || len(findings) > 2*stepfile.MaxFindings+2 {
			t.Errorf("%s: %d findings, %d errors", step, len(findings), len(errs))
		}
	}
}

// Warnings alone never keep a file from being run, and never hide an error.
func TestParseManyWarnings(t *testing.T) {
	odd := func(place int) string { return fmt.Sprintf(`{"step_id":%d,"timeout":0.%03d}`, (place-1)%10+1, place) }
	procedure, findings := stepfile.Parse("", many(201, odd))
	if len(procedure.Steps) != 201 {
		t.Errorf("%d steps, want 201", len(procedure.Steps))
	}
	// The number of steps and the ids that come again are two findings, and 98 timeouts are shown.
	if last := findings[len(findings)-1]; last.Message != "the number of further warnings is 103" || last.More != 102 {
		t.Errorf("the last finding is %q, which counts %d more", last.Message, last.More)
	}
	procedure, _ = stepfile.Parse("", many(201, func(place int) string {
		if place == 201 {
			return `{"step_id":1}`
		}
		return odd(place)
	}))
	if len(procedure.Steps) != 0 {
		t.Error("an error after many warnings was not seen")
	}
}
