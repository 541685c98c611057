// Command voltage is a validator of one's own: data.voltage is no higher than a limit.
package main

import (
	"context"
	"encoding/json"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

type limit struct {
	Volts float64 `json:"volts"`
}

func (l *limit) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	var data struct{ Voltage *float64 }
	if json.Unmarshal(step.Data, &data) == nil && data.Voltage != nil && *data.Voltage <= l.Volts {
		return validator.PassWith(nil), nil
	}
	return validator.FailWith(validator.RuleBroken, "the voltage is missing or too high", nil), nil
}
func (l *limit) Reads() validator.Inputs { return validator.InputData }

func main() {
	sdk.Serve(sdk.Plugin{Name: "voltage", Version: "1.0.0", Validators: []sdk.Validator{{
		Name: "voltage", Version: "1.0.0", New: func(settings []byte) (validator.Validator, error) {
			l := &limit{Volts: 28}
			return l, validator.DecodeSettings(settings, l)
		}}}})
}
