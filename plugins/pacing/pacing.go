// Package pacing is the validator that holds clients to the intervals that they declare. The
// README describes it for people who use it.
package pacing

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// Validate fails a step that came too early or too late after the last one.
func (p *pacing) Validate(_ context.Context, session validator.Session, step validator.Step) (validator.Verdict, error) {
	interval, err := declared(session.State)
	if err != nil {
		return validator.Verdict{}, err
	}
	state := stateOf(step.Interval)
	if !interval.Declared || !step.Gap.Declared {
		return validator.PassWith(state), nil
	}
	if detail := p.complaint(interval.Duration, step.Gap.Duration); detail != "" {
		return validator.FailWith(validator.IntervalNotKept, detail, state), nil
	}
	return validator.PassWith(state), nil
}

// Reads implements validator.Declarer.
func (p *pacing) Reads() validator.Inputs { return validator.InputInterval | validator.InputGap }

// complaint says by how much a gap is not the interval; empty when it is, within tolerance.
func (p *pacing) complaint(interval, gap time.Duration) string {
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

// tolerance is how far from the interval a gap may be.
func (p *pacing) tolerance(interval time.Duration) time.Duration {
	relative := math.Round(float64(interval) * p.percent / 100)
	if relative >= math.MaxInt64 { // a float64 of MaxInt64 is one above it
		return math.MaxInt64
	}
	return max(p.absolute, time.Duration(relative))
}

// seconds writes a duration, which is not negative, with some three digits that count: a
// measured one has nanoseconds that say nothing to people.
func seconds(d time.Duration) string {
	switch {
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	case d >= 10*time.Microsecond:
		d = d.Round(time.Microsecond)
	}
	whole := strconv.FormatInt(int64(d/time.Second), 10)
	fraction := strings.TrimRight(fmt.Sprintf("%09d", int64(d%time.Second)), "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}
