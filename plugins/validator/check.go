package validator

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Check returns the first error in the form of a verdict that was returned without an error, or nil if
// the form is valid. The agent treats a malformed verdict as undecided.
func (v Verdict) Check() error {
	switch v.Outcome {
	case Pass:
		if v.Reason != "" {
			return fmt.Errorf("reason: a pass has none, got %.64q", v.Reason)
		}
	case Fail:
		if !slices.Contains(Reasons(), v.Reason) {
			return fmt.Errorf("reason: a fail has one of %q, got %.64q", Reasons(), v.Reason)
		}
	case Undecided:
		return errors.New("outcome: undecided without an error; return a pass, a fail or an error")
	default:
		return fmt.Errorf("outcome: %d is neither pass nor fail", v.Outcome)
	}
	if n := len(v.Detail); n > MaxDetailBytes {
		return fmt.Errorf("detail: %d bytes, at most %d are allowed", n, MaxDetailBytes)
	}
	if !utf8.ValidString(v.Detail) {
		return errors.New("detail: not valid UTF-8")
	}
	if n := len(v.State); n > MaxStateBytes {
		return fmt.Errorf("state: %d bytes, at most %d are allowed", n, MaxStateBytes)
	}
	return v.Fault.check()
}

// check returns the first error in the form of a fault; nil means no fault.
func (f *Fault) check() error {
	if f == nil {
		return nil
	}
	if _, known := FaultKinds()[f.Kind]; !known {
		return fmt.Errorf("fault: kind %d is not known", f.Kind)
	}
	if f.Delay < 0 {
		return fmt.Errorf("fault: delay %v is below 0", f.Delay)
	}
	return nil
}
