// Package pacing is the validator pacing, which requires clients to keep their declared intervals. The
// README is its manual.
package pacing

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Name is the validator's name in configs and logs.
const Name = "pacing"

type pacing struct {
	absolute time.Duration
	percent  float64
	judges   sides
}

// Validate fails a step that comes too early or too late after the last one.
func (p *pacing) Validate(_ context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	interval, err := decodeState(session.State)
	if err != nil {
		return validator.Verdict{}, err
	}
	state := encodeState(step.Interval)
	if !interval.Declared || !step.Gap.Declared {
		return validator.PassWith(state), nil
	}
	if detail := p.deviation(interval.Duration, step.Gap.Duration); detail != "" {
		return validator.FailWith(validator.IntervalNotKept, detail, state), nil
	}
	return validator.PassWith(state), nil
}

// Reads implements validator.Declarer.
func (p *pacing) Reads() validator.Inputs { return validator.InputInterval | validator.InputGap }

// deviation describes by how much a gap differs from the interval; empty within the tolerance.
func (p *pacing) deviation(interval, gap time.Duration) string {
	tolerance := p.tolerance(interval)
	switch {
	case p.judges.early && gap < interval && interval-gap > tolerance:
		return fmt.Sprintf("%s s too early: waited %s s, declared %s s, tolerance %s s",
			seconds(interval-gap), seconds(gap), seconds(interval), seconds(tolerance))
	case p.judges.late && gap > interval && gap-interval > tolerance:
		return fmt.Sprintf("%s s too late: waited %s s, declared %s s, tolerance %s s",
			seconds(gap-interval), seconds(gap), seconds(interval), seconds(tolerance))
	default:
		return ""
	}
}

// tolerance returns the largest allowed difference between gap and interval.
func (p *pacing) tolerance(interval time.Duration) time.Duration {
	relative := math.Round(float64(interval) * p.percent / 100)
	if relative >= math.MaxInt64 { // a float64 of MaxInt64 is one above it
		return math.MaxInt64
	}
	return max(p.absolute, time.Duration(relative))
}

// seconds formats a measured duration, rounded to about three significant digits.
func seconds(d time.Duration) string {
	switch {
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	case d >= 10*time.Microsecond:
		d = d.Round(time.Microsecond)
	}
	return validator.FormatSeconds(d)
}
