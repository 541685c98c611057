package pacing

import (
	"math"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Defaults and limits of the settings.
const (
	defaultToleranceSeconds = 0.25
	defaultTolerancePercent = 10
	maxToleranceSeconds     = 86400
	maxTolerancePercent     = 1000
)

// The values of judge.
const (
	both  = "both"
	early = "early"
	late  = "late"
)

// sides holds the deviations that are judged.
type sides struct{ early, late bool }

// New makes the validator from its settings. It is a [validator.Factory].
func New(settings []byte) (validator.Validator, error) {
	s := struct {
		Seconds float64 `json:"tolerance_seconds"`
		Percent float64 `json:"tolerance_percent"`
		Judge   string  `json:"judge"`
	}{defaultToleranceSeconds, defaultTolerancePercent, both}
	if err := validator.DecodeSettings(settings, &s); err != nil {
		return nil, err
	}
	var problems validator.Problems
	within := func(key string, value, limit float64) {
		if value < 0 || value > limit {
			problems.Add(key, "want 0 to %v, got %v", limit, value)
		}
	}
	within("tolerance_seconds", s.Seconds, maxToleranceSeconds)
	within("tolerance_percent", s.Percent, maxTolerancePercent)
	judges, known := map[string]sides{both: {true, true}, early: {early: true}, late: {late: true}}[s.Judge]
	if !known {
		problems.Add("judge", "want %q, %q or %q, got %.64q", both, early, late, s.Judge)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return &pacing{
		absolute: time.Duration(math.Round(s.Seconds * float64(time.Second))),
		percent:  s.Percent,
		judges:   judges,
	}, nil
}
