package validator_test

import (
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

func ExampleDecodeSettings() {
	settings := struct {
		Limit int64  `json:"limit"`
		Unit  string `json:"unit"`
	}{Limit: 7, Unit: "V"} // the defaults
	fmt.Println(validator.DecodeSettings([]byte(`{"limit":12}`), &settings), settings)
	fmt.Println(validator.DecodeSettings([]byte(`{"Limit":12}`), &settings))
	// Output:
	// <nil> {12 V}
	// Limit: unknown key; did you mean limit?
}

func ExampleProblems() {
	problems := validator.Problems{Path: "plan[2]"}
	problems.Add("delay", "want above 0, got %d", -1)
	problems.Add("step_id", "required")
	fmt.Println(problems.Err())
	// Output:
	// plan[2].delay: want above 0, got -1
	// plan[2].step_id: required
}
