package faults

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Limits of an entry.
const (
	maxOccurrence   = 1_000_000
	maxDelaySeconds = 3600
)

// Default values of an entry.
const (
	defaultOccurrence   = 1
	defaultLateSeconds  = 0.5
	defaultSplitSeconds = 0.05
	defaultCode         = 99
)

// An entry is one table of the plan. A nil pointer is an absent key.
type entry struct {
	StepID      *int64   `json:"step_id"`
	Fault       *string  `json:"fault"`
	Occurrence  int64    `json:"occurrence"`
	Delay       *float64 `json:"delay"`
	WrongStepID *int64   `json:"wrong_step_id"`
	Code        *int32   `json:"code"`
}

// readEntry decodes the table of the plan at path.
func readEntry(path string, settings []byte) (event, validator.Fault, error) {
	e := entry{Occurrence: defaultOccurrence}
	if err := validator.DecodeSettingsAt(path, settings, &e); err != nil {
		return event{}, validator.Fault{}, err
	}
	p := &validator.Problems{Path: path}
	if e.StepID == nil {
		p.Add("step_id", "required: the step id to misbehave at")
	}
	if e.Occurrence < 0 || e.Occurrence > maxOccurrence {
		p.Add("occurrence", "want 0 to %d, got %d", maxOccurrence, e.Occurrence)
	}
	kind := e.kind(p)
	if err := p.Err(); err != nil {
		return event{}, validator.Fault{}, err
	}
	return event{*e.StepID, e.Occurrence}, e.fault(p, kind), p.Err()
}

// fault returns the fault, and refuses values that its kind does not use.
func (e *entry) fault(p *validator.Problems, kind validator.FaultKind) validator.Fault {
	f, used := validator.Fault{Kind: kind}, ""
	switch kind {
	case validator.FaultDelay, validator.FaultLate, validator.FaultSplit:
		f.Delay, used = e.delay(p, kind), "delay"
	case validator.FaultWrongID:
		f.StepID, used = e.wrongStepID(p), "wrong_step_id"
	case validator.FaultWrongCode:
		f.Code, used = defaultCode, "code"
		if e.Code != nil {
			f.Code = int(*e.Code)
		}
	}
	for _, value := range []struct {
		key   string
		given bool
	}{{"delay", e.Delay != nil}, {"wrong_step_id", e.WrongStepID != nil}, {"code", e.Code != nil}} {
		if value.given && value.key != used {
			p.Add(value.key, "fault %s does not use it; remove it", kind)
		}
	}
	return f
}

func (e *entry) kind(p *validator.Problems) validator.FaultKind {
	if e.Fault == nil {
		p.Add("fault", "required: one of %s", kindNames())
		return 0
	}
	for kind, name := range validator.FaultKinds() {
		if name == *e.Fault {
			return kind
		}
	}
	p.Add("fault", "want one of %s, got %.64q", kindNames(), *e.Fault)
	return 0
}

func kindNames() string {
	return strings.Join(slices.Sorted(maps.Values(validator.FaultKinds())), ", ")
}

func (e *entry) delay(p *validator.Problems, kind validator.FaultKind) time.Duration {
	seconds := map[validator.FaultKind]float64{validator.FaultLate: defaultLateSeconds, validator.FaultSplit: defaultSplitSeconds}[kind]
	switch {
	case e.Delay != nil:
		seconds = *e.Delay
	case kind == validator.FaultDelay:
		p.Add("delay", "required for fault delay: the delay of the reply in seconds")
		return 0
	}
	within := min(max(seconds, 0), maxDelaySeconds) // prevents an overflow of the conversion
	delay := time.Duration(math.Round(within * float64(time.Second)))
	if seconds > maxDelaySeconds || delay == 0 {
		p.Add("delay", "want above 0 and at most %d seconds, got %v", maxDelaySeconds, seconds)
	}
	return delay
}

func (e *entry) wrongStepID(p *validator.Problems) int64 {
	switch {
	case e.WrongStepID == nil && *e.StepID == math.MaxInt64:
		return *e.StepID - 1
	case e.WrongStepID == nil:
		return *e.StepID + 1
	case *e.WrongStepID == *e.StepID:
		p.Add("wrong_step_id", "want another than step_id, which is %d", *e.StepID)
	}
	return *e.WrongStepID
}
