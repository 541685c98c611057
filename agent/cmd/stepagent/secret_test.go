package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/validator"
)

// secretValidator has secrets in its settings and keeps none of them: it prints them, and says them in
// its errors and its panic. Step 1 passes where the data have them.
func secretValidator() sdk.Validator {
	return sdk.Validator{Name: "secret", Version: "1", New: func(settings []byte) (validator.Validator, error) {
		var s struct {
			Token  string `json:"token"`
			Word   string `json:"word"`
			Refuse bool   `json:"refuse"`
		}
		if err := validator.DecodeSettings(settings, &s); err != nil {
			return nil, err
		}
		if s.Refuse {
			return nil, &validator.SettingError{Key: "token", Problem: fmt.Sprintf("%q is no token", s.Token)}
		}
		fmt.Fprintf(os.Stderr, "my token is %s, my word %s\n", s.Token, s.Word)
		return validate(func(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
			var data struct{ Said string }
			_ = json.Unmarshal(step.Data, &data) // which the self-test does not send
			switch {
			case step.ID == 2:
				return validator.Verdict{}, errors.New("no service takes " + s.Token)
			case step.ID == 3:
				panic(s.Token)
			case data.Said != s.Token+" "+s.Word:
				return validator.FailWith(validator.RuleBroken, "another token", nil), nil
			}
			return validator.PassWith(nil), nil
		}), nil
	}}
}
