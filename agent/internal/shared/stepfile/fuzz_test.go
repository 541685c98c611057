package stepfile_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// For any bytes: Parse does not panic, findings lie within the file and in order, and a
// file without errors has steps that could be sent.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		tenSteps(nil), one(`{"step_id":3,"timeout":1e-3,"data":{"a":[1]}}`), one("{}"), one(`{"timeout":null}`),
		"", "{", "{\n", "\r\n", "\xef\xbb\xbf{}", `{"test_services":[{"step_id":1,"timeout":5,}]}`, `{"test_services":[1,]}`,
		"{\"test_services\":[\r\n{\"\\u0073tep_id\":1}]} x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		procedure, findings := stepfile.Parse("f", data)
		lines := bytes.Split(data, []byte("\n"))
		previous := stepfile.Finding{}
		for _, at := range findings {
			if at.Line < 1 || at.Line > len(lines) || at.Column < 1 || at.Column > len(lines[at.Line-1])+1 {
				t.Errorf("%v lies outside the file", at)
			}
			if at.Line < previous.Line || at.Line == previous.Line && at.Column < previous.Column {
				t.Errorf("%v comes after %v", at, previous)
			}
			previous = at
		}
		if unsound := stepfile.AsError("f", findings) != nil; unsound != (len(procedure.Steps) == 0) {
			t.Errorf("unsound is %v, and there are %d steps", unsound, len(procedure.Steps))
		}
		if len(procedure.Steps) > 0 && !json.Valid(data) {
			t.Error("what is no JSON was taken for a procedure")
		}
		for _, step := range procedure.Steps {
			if step.Timeout < 0 || step.Timeout > stepfile.MaxWait || step.Interval < 0 || step.Interval > stepfile.MaxWait {
				t.Errorf("step %+v has a wait out of range", step)
			}
			if lines[step.Line-1][step.Column-1] != '{' {
				t.Errorf("no step begins at %d:%d", step.Line, step.Column)
			}
			if step.Data != nil && (!json.Valid(step.Data) || bytes.Contains(step.Data, []byte("\n"))) {
				t.Errorf("data %q is not one line of JSON", step.Data)
			}
		}
	})
}
