// Package mintimeout is the validator min_timeout, which requires a minimum for declared timeouts. The
// README is its manual.
package mintimeout

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Name is the validator's name in configs and logs.
const Name = "min_timeout"

const (
	defaultSeconds = 5
	// maxSeconds is 100 years, the longest timeout of the protocol.
	maxSeconds = 100 * 365 * 24 * 60 * 60
)

type minTimeout struct {
	minimum time.Duration
}

// New makes the validator from its settings. It is a [validator.Factory].
func New(settings []byte) (validator.Validator, error) {
	s := struct {
		Seconds float64 `json:"seconds"`
	}{Seconds: defaultSeconds}
	if err := validator.DecodeSettings(settings, &s); err != nil {
		return nil, err
	}
	if s.Seconds < 0 || s.Seconds > maxSeconds {
		return nil, &validator.SettingError{Key: "seconds",
			Problem: fmt.Sprintf("want 0 to %d, got %v", int64(maxSeconds), s.Seconds)}
	}
	return minTimeout{minimum: time.Duration(math.Round(s.Seconds * float64(time.Second)))}, nil
}

// Validate fails a step that declares a timeout below the minimum.
func (m minTimeout) Validate(_ context.Context, _ validator.Session, step validator.Step) (validator.Verdict, error) {
	if !step.Timeout.Declared || step.Timeout.Duration >= m.minimum {
		return validator.PassWith(nil), nil
	}
	return validator.FailWith(validator.TimeoutTooShort,
		fmt.Sprintf("timeout %s s is below the minimum of %s s", validator.FormatSeconds(step.Timeout.Duration), validator.FormatSeconds(m.minimum)), nil), nil
}

// Reads implements validator.Declarer.
func (m minTimeout) Reads() validator.Inputs { return validator.InputTimeout }
