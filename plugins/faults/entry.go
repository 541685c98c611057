package faults

import (
	"errors"
	"fmt"
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

// Defaults of an entry.
const (
	defaultOccurrence   = 1
	defaultLateSeconds  = 0.5
	defaultSplitSeconds = 0.05
	defaultCode         = 99
)

// An entry is one table of the plan. A nil value was not given.
type entry struct {
	StepID      *int64   `json:"step_id"`
	Fault       *string  `json:"fault"`
	Occurrence  int64    `json:"occurrence"`
	Delay       *float64 `json:"delay"`
	WrongStepID *int64   `json:"wrong_step_id"`
	Code        *int32   `json:"code"`
}

// problems collects what is wrong with the keys below a path.
type problems struct {
	path string
	errs []error
}

func (p *problems) add(key, format string, args ...any) {
	p.errs = append(p.errs, &validator.SettingError{Key: p.path + "." + key, Problem: fmt.Sprintf(format, args...)})
}

// readEntry reads the table of the plan that is under path.
func readEntry(path string, settings []byte) (event, validator.Fault, error) {
	e := entry{Occurrence: defaultOccurrence}
	if err := validator.DecodeSettingsAt(path, settings, &e); err != nil {
		return event{}, validator.Fault{}, err
	}
	p := &problems{path: path}
	if e.StepID == nil {
		p.add("step_id", "required: the step id to misbehave at")
	}
	if e.Occurrence < 0 || e.Occurrence > maxOccurrence {
		p.add("occurrence", "want 0 to %d, got %d", maxOccurrence, e.Occurrence)
	}
	kind := e.kind(p)
	if len(p.errs) > 0 {
		return event{}, validator.Fault{}, errors.Join(p.errs...)
	}
	at := event{*e.StepID, e.Occurrence}
	fault := validator.Fault{Kind: kind, Delay: e.delay(p, kind), StepID: e.wrongStepID(p, kind), Code: e.code(p, kind)}
	return at, fault, errors.Join(p.errs...)
}

func (e *entry) kind(p *problems) validator.FaultKind {
	if e.Fault == nil {
		p.add("fault", "required: one of %s", kindNames())
		return 0
	}
	for kind, name := range validator.FaultKinds() {
		if name == *e.Fault {
			return kind
		}
	}
	p.add("fault", "want one of %s, got %.64q", kindNames(), *e.Fault)
	return 0
}

func kindNames() string {
	return strings.Join(slices.Sorted(maps.Values(validator.FaultKinds())), ", ")
}

func (e *entry) delay(p *problems, kind validator.FaultKind) time.Duration {
	var seconds float64
	switch kind {
	case validator.FaultDelay:
		if e.Delay == nil {
			p.add("delay", "required for fault delay: for how many seconds to hold the reply back")
			return 0
		}
	case validator.FaultLate:
		seconds = defaultLateSeconds
	case validator.FaultSplit:
		seconds = defaultSplitSeconds
	default:
		meaningless(p, "delay", e.Delay, kind)
		return 0
	}
	if e.Delay != nil {
		seconds = *e.Delay
	}
	within := min(max(seconds, 0), maxDelaySeconds) // so that the conversion cannot overflow
	delay := time.Duration(math.Round(within * float64(time.Second)))
	if seconds > maxDelaySeconds || delay == 0 {
		p.add("delay", "want above 0 and at most %d seconds, got %v", maxDelaySeconds, seconds)
	}
	return delay
}

func (e *entry) wrongStepID(p *problems, kind validator.FaultKind) int64 {
	if kind != validator.FaultWrongID {
		meaningless(p, "wrong_step_id", e.WrongStepID, kind)
		return 0
	}
	if e.WrongStepID == nil {
		if *e.StepID == math.MaxInt64 {
			return *e.StepID - 1
		}
		return *e.StepID + 1
	}
	if *e.WrongStepID == *e.StepID {
		p.add("wrong_step_id", "want another than step_id, which is %d", *e.StepID)
	}
	return *e.WrongStepID
}

func (e *entry) code(p *problems, kind validator.FaultKind) int {
	if kind != validator.FaultWrongCode {
		meaningless(p, "code", e.Code, kind)
		return 0
	}
	if e.Code == nil {
		return defaultCode
	}
	return int(*e.Code)
}

// meaningless refuses a value that the fault has no use for.
func meaningless[T any](p *problems, key string, value *T, kind validator.FaultKind) {
	if value != nil {
		p.add(key, "fault %s has no use for it; remove it", kind)
	}
}
