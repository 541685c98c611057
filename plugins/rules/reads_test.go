package rules_test

import (
	"encoding/json"
	"testing"

	"github.com/stepagent/stepagent/plugins/rules"
	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

const (
	position  = validator.InputPosition
	steps     = validator.InputSteps
	stepID    = validator.InputStepID
	timeout   = validator.InputTimeout
	interval  = validator.InputInterval
	at        = validator.InputAt
	gap       = validator.InputGap
	data      = validator.InputData
	allOfStep = stepID | timeout | interval | at | gap
)

// readings are expressions and the inputs behind the names in them.
var readings = map[string]validator.Inputs{
	// Nothing.
	"true":                           0,
	"1 + 1 == 2":                     0,
	"all([1, 2], # > 0)":             0,
	`"step.gap" contains "data.x"`:   0,
	"let limit = 3; limit in [3, 4]": 0,

	// One field.
	"session.position < 5":                      position,
	"session.steps == 10":                       steps,
	"step.id != 3":                              stepID,
	"step.at < 60":                              at,
	"step.timeout >= 5":                         timeout,
	"step.interval >= 0.5":                      interval,
	"step.gap < 9":                              gap,
	"data.voltage > 22":                         data,
	`step["id"] != 3`:                           stepID,
	`session["position"] < 5`:                   position,
	`data["two words"] == 2`:                    data,
	"step?.gap == nil":                          gap,
	"(step?.timeout ?? 5) >= 5":                 timeout,
	`step?.["interval"] == nil`:                 interval,
	"data?.motor?.rpm == nil":                   data,
	"data.deep.er.x == 1":                       data,
	"data.step.gap == 1 or data.session == nil": data,

	// Several.
	"step.id != 3 or data.voltage > 12":                 stepID | data,
	"step.id == 3 ? step.timeout > 5 : step.gap < 1":    stepID | timeout | gap,
	"session.position == session.steps - 1":             position | steps,
	"step.id == 1 and step.id == 1 and step?.at == 0":   stepID | at,
	"let id = step.id; id > 3 or data.id == id":         stepID | data,
	"if step.id > 3 { step.at > 1 } else { data.x > 1}": stepID | at | data,

	// In the brackets of what goes through a list.
	"all(data.cells, # > 3.2)":                                  data,
	"all(data.cells, .volt > 3.2)":                              data,
	"any([1, 2], # == step.id)":                                 stepID,
	"all(data.cells, # > 3.2 or step.id == 4)":                  data | stepID,
	"count([1, 2], any([3, 4], # == session.position)) == 0":    position,
	"all(filter(data.cells, # > session.steps), # < step?.gap)": data | steps | gap,

	// What is named as a whole, or by a name that the step decides, may be any of it.
	"let s = step; s.id == 1":                       allOfStep,
	"let s = session; s.steps == 10":                position | steps,
	`"gap" in step`:                                 allOfStep,
	`"voltage" in data`:                             data,
	"step[data.name] == 1":                          allOfStep | data,
	`step["i" + "d"] == 1`:                          allOfStep,
	`step[data.ok ? "id" : "at"] == 1`:              allOfStep | data,
	"step.id == 1 and len(step) == 5":               allOfStep,
	"session == step":                               allOfStep | position | steps,
	"session.steps == 10 and session.position < 10": position | steps,
	"data == data":                                  data,
	"any([1], step != nil)":                         allOfStep,
}

// TestReads: rules declares the fields that its expressions name, and no others.
func TestReads(t *testing.T) {
	t.Parallel()
	for expression, want := range readings {
		v, err := rules.New([]byte(one(expression)))
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			continue
		}
		if got, declared := validator.Declared(v); !declared || got != want {
			t.Errorf("%s: reads %s, want %s", expression, got, want)
		}
	}
}

// TestReadsOfSeveralRules: the rules of one validator are asked together.
func TestReadsOfSeveralRules(t *testing.T) {
	t.Parallel()
	var list []map[string]string
	for i, expression := range []string{"step.id > 0", "true", "data?.x == nil", "step.id < 10 or step.timeout > 1"} {
		list = append(list, map[string]string{"name": string(rune('a' + i)), "expression": expression})
	}
	settings, err := json.Marshal(map[string]any{"rule": list})
	if err != nil {
		t.Fatal(err)
	}
	got, declared := validator.Declared(newRules(t, string(settings)))
	if want := stepID | timeout | data; !declared || got != want {
		t.Errorf("reads %s, want %s", got, want)
	}
}

// TestReadsIsAllThatCounts: no verdict depends on what is not declared.
func TestReadsIsAllThatCounts(t *testing.T) {
	t.Parallel()
	for expression := range readings {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			session := validator.Session{ID: "s", Position: 2, Steps: 10}
			v := newRules(t, one(expression))
			reads, _ := validator.Declared(v)
			for _, sent := range [][]byte{nil, []byte(sample), []byte(`{"voltage":1,"ok":false,"name":"at"}`), []byte("[]")} {
				step := validator.Step{ID: 3, At: 1, Timeout: validator.Wait{Duration: 7, Declared: true},
					Interval: validator.Wait{Declared: true}, Gap: validator.Wait{Duration: 9, Declared: true}, Data: sent}
				all, err := v.Validate(t.Context(), session, step)
				if err != nil {
					t.Fatal(err)
				}
				masked, maskedStep := reads.Mask(session, step)
				if less, err := v.Validate(t.Context(), masked, maskedStep); err != nil || less.Outcome != all.Outcome || less.Detail != all.Detail {
					t.Errorf("%s: with all %+v, with what it reads %+v, %v", sent, all, less, err)
				}
			}
		})
	}
}

// TestReadsKeepsTheLaw puts one rule of each kind to the law of inputs and the rest.
func TestReadsKeepsTheLaw(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"true", "step?.gap == nil or session.position > 0", "let s = step; s.id < 5", "any([1, 2], # == data?.count)"} {
		validatortest.Check(t, func() validator.Validator { return newRules(t, one(expression)) },
			validatortest.Options{Data: [][]byte{[]byte(sample)}})
	}
}
