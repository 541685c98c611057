package validatortest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// TestCheckFinds puts validators to Check that break one law each.
func TestCheckFinds(t *testing.T) {
	t.Parallel()
	always := func(v validator.Verdict, err error) func() validator.Validator {
		return func() validator.Validator {
			return judgement(func(validator.Session, validator.Step) (validator.Verdict, error) { return v, err })
		}
	}
	judge := func(j judgement) func() validator.Validator {
		return func() validator.Validator { return j }
	}
	tests := map[string]struct {
		fresh func() validator.Validator
		want  string // how one of the failures begins
	}{
		"no validator": {func() validator.Validator { return nil }, "fresh returned no validator"},
		"panic on an extreme id": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.ID == math.MinInt64 {
				panic("overflow")
			}
			return pass()
		}), "answer: panic: overflow\n"},
		"panic on a long wait": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.Timeout.Duration+time.Hour < 0 {
				panic("overflow")
			}
			return pass()
		}), "answer: panic: overflow\n"},
		"panic on bad data": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			if len(st.Data) == 1 && st.Data[0] != '{' {
				panic("no object")
			}
			return pass()
		}), "answer: panic: no object\n"},
		"panic on a foreign state": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			return validator.PassWith([]byte{1, 2, 3, s.State[:4:4][3]}), nil
		}), "answer: panic: "},
		"panic on a late position": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			_ = make([]bool, 1000)[s.Position]
			return pass()
		}), "answer: panic: "},
		"panic in Expects": {func() validator.Validator {
			return expecting{inOrder, func(validator.Session) (int64, bool) { panic("no idea") }}
		}, "answer: panic: no idea\n"},

		"undecided, no error": {always(validator.Verdict{}, nil), "form: outcome: undecided without an error"},
		"pass with an error":  {always(validator.PassWith(nil), errors.New("but")), `form: pass together with error "but"`},
		"unknown reason":      {always(validator.FailWith("busy", "", nil), nil), "form: reason: "},
		"state grows": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			return validator.PassWith(append(append([]byte(nil), s.State...), "0123456789"...)), nil
		}), "form: state: "},

		"changes its data": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			if len(st.Data) > 0 {
				st.Data[0] = '['
			}
			return pass()
		}), "ownership: the validator changed its input"},
		"appends to its state": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			_ = append(s.State, 1)
			return pass()
		}), "ownership: the validator changed its input"},
		"returns its state": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			if len(s.State) == 0 {
				return validator.PassWith([]byte{1}), nil
			}
			return validator.PassWith(s.State), nil
		}), "ownership: the State that was returned is memory that was lent"},
		"Expects changes its input": {func() validator.Validator {
			return expecting{counting, func(s validator.Session) (int64, bool) {
				clear(s.State)
				return 0, false
			}}
		}, "ownership: Expects changed its input"},

		"remembers":             {remembering, "purity: asked twice"},
		"keeps what it returns": {keeping, "purity: asked twice"},
		"shares a fault":        {sharing, "purity: asked twice"},
		"remembers a session":   {rememberingSessions, "purity: a validator that has seen nothing of this session"},
		"Expects remembers": {func() validator.Validator {
			var n int64
			return expecting{inOrder, func(validator.Session) (int64, bool) { n++; return n, false }}
		}, "purity: Expects said (1, false) and then (2, false)"},

		"elsewhere":      {always(validator.Verdict{}, fmt.Errorf("told: %w", &validatortest.Broken{Law: "form", Problem: "state: too long"})), "form: state: too long"},
		"gone":           {always(validator.Verdict{}, &validatortest.Broken{Law: "answer", Problem: "it is gone"}), "answer: it is gone"},
		"slow elsewhere": {always(validator.Verdict{}, &validatortest.Broken{Law: "deadline", Problem: "no verdict"}), "deadline: "},
		"session ID": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			return validator.FailWith(validator.RuleBroken, s.ID, nil), nil
		}), "session ID: "},
		"empty state": {judge(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
			if s.State != nil {
				return validator.FailWith(validator.RuleBroken, "again", nil), nil
			}
			return pass()
		}), "empty is nil: "},
		"no data": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			if st.Data == nil {
				return validator.FailWith(validator.RuleBroken, "data is missing", nil), nil
			}
			return pass()
		}), "empty is nil: "},
		"counts fields": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			if bytes.Count(st.Data, []byte(":")) > 3 {
				return validator.FailWith(validator.RuleBroken, "too many fields", nil), nil
			}
			return pass()
		}), "unknown fields: "},
		"knows all fields": {judge(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
			dec := json.NewDecoder(bytes.NewReader(st.Data))
			dec.DisallowUnknownFields()
			var known struct {
				Voltage  float64
				OK, Name any
			}
			if err := dec.Decode(&known); err != nil && len(st.Data) > 0 {
				return validator.FailWith(validator.RuleBroken, err.Error(), nil), nil
			}
			return pass()
		}), "unknown fields: "},
		"reads more than it says": {func() validator.Validator {
			return declaring{inOrder, reading(validator.InputStepID)}
		}, "inputs: it says that it reads step_id, and judges otherwise without the rest"},
		"tells of what it does not declare": {func() validator.Validator {
			return declaring{func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
				return validator.FailWith(validator.RuleBroken, st.Gap.Duration.String(), nil), nil
			}, reading(validator.AllInputs &^ validator.InputGap)}
		}, "inputs: it says that it reads position, steps, step_id, timeout, interval, at, data, and judges"},
		"keeps what it does not declare": {func() validator.Validator {
			return declaring{func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
				return validator.PassWith(bytes.Clone(st.Data[:min(len(st.Data), 9)])), nil
			}, reading(0)}
		}, "inputs: it says that it reads nothing, and judges"},
		"undecided without the rest": {func() validator.Validator {
			return declaring{func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
				if s.Steps == 0 {
					return validator.Verdict{}, errors.New("a session of no steps")
				}
				return pass()
			}, reading(validator.InputPosition)}
		}, "inputs: it says that it reads position, and judges"},
		"expects by more than it says": {func() validator.Validator {
			return expectingDeclarer{declaring{counting, reading(0)}, nextID}
		}, "inputs: it says that it reads nothing, and Expects says (2, true), and without the rest (1, true)"},
		"declares something else each time": {func() validator.Validator {
			var n atomic.Uint32
			return declaring{counting, func() validator.Inputs { return validator.Inputs(n.Add(1)) }}
		}, "inputs: it says that it reads position, and then steps"},
		"declares something else each time it is made": {sometimes(
			declaring{counting, reading(0)}, declaring{counting, reading(validator.InputAt)},
		), "inputs: one says that it reads nothing, and another with the same settings at"},
		"is sometimes no Declarer": {sometimes(
			declaring{counting, reading(0)}, judgement(counting),
		), "inputs: one says that it reads nothing, and another with the same settings everything, as"},
		"panic in Reads": {func() validator.Validator {
			return declaring{counting, func() validator.Inputs { panic("no settings") }}
		}, "answer: panic: no settings\n"},
		"ended context": {func() validator.Validator {
			return contextual(func(ctx context.Context) (validator.Verdict, error) {
				if ctx.Err() != nil {
					return validator.FailWith(validator.RuleBroken, "too late", nil), nil
				}
				return pass()
			})
		}, "context: "},
		"wrong expectation": {func() validator.Validator {
			return expecting{inOrder, func(s validator.Session) (int64, bool) { return int64(s.Position), true }}
		}, "expectation: Expects said 0"},
		"confused by many": {crowded, "concurrency: "},
		"errors alone":     {always(validator.Verdict{}, errors.New("always")), "use: none of"},
	}
	var broken sync.Map            // the laws of which a test shows that breaking them is found
	broken.Store("deadline", true) // TestCheckFindsSlowness
	t.Cleanup(func() {
		for _, law := range validatortest.Laws() {
			if _, ok := broken.Load(law.Name); !ok {
				t.Errorf("no validator here breaks the law %q", law.Name)
			}
		}
	})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := validatortest.Options{Sessions: fewSessions}
			if name == "state grows" { // which only a long session shows
				opts.Sessions = 0
			}
			got := failures(test.fresh, opts)
			broken.Store(strings.SplitN(test.want, ":", 2)[0], true)
			for _, failure := range got {
				if strings.HasPrefix(failure, test.want) {
					return
				}
			}
			t.Errorf("got %q, want one that begins with %q", got, test.want)
		})
	}
}

// A declaring validator is one with a Declarer of its own.
type declaring struct {
	judgement
	reads func() validator.Inputs
}

func (d declaring) Reads() validator.Inputs { return d.reads() }

type expectingDeclarer struct {
	declaring
	expects func(validator.Session) (int64, bool)
}

func (e expectingDeclarer) Expects(s validator.Session) (int64, bool) { return e.expects(s) }

func reading(in validator.Inputs) func() validator.Inputs {
	return func() validator.Inputs { return in }
}

// sometimes makes one validator and another in turn.
func sometimes(all ...validator.Validator) func() validator.Validator {
	n := -1
	return func() validator.Validator {
		n++
		return all[n%len(all)]
	}
}

func remembering() validator.Validator {
	var n atomic.Int64
	return judgement(func(validator.Session, validator.Step) (validator.Verdict, error) {
		if n.Add(1)%7 == 0 {
			return validator.FailWith(validator.RuleBroken, "every seventh", nil), nil
		}
		return pass()
	})
}

// keeping returns the same bytes again and again.
func keeping() validator.Validator {
	state := []byte("mine")
	return judgement(func(validator.Session, validator.Step) (validator.Verdict, error) {
		return validator.PassWith(state), nil
	})
}

func sharing() validator.Validator {
	fault := &validator.Fault{Kind: validator.FaultReset}
	return judgement(func(validator.Session, validator.Step) (validator.Verdict, error) {
		return validator.Verdict{Outcome: validator.Pass, Fault: fault}, nil
	})
}

// rememberingSessions fails the fourth step of a session of which it saw the first.
func rememberingSessions() validator.Validator {
	var saw atomic.Bool
	return judgement(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
		if s.Position == 0 {
			saw.Store(true)
		}
		if s.Position == 3 && saw.Load() {
			return validator.FailWith(validator.RuleBroken, "fourth", nil), nil
		}
		return pass()
	})
}

// crowded judges the sessions of the concurrent clients otherwise than their first.
func crowded() validator.Validator {
	return judgement(func(s validator.Session, _ validator.Step) (validator.Verdict, error) {
		if len(s.ID) == 1 {
			return validator.FailWith(validator.RuleBroken, "crowd", nil), nil
		}
		return pass()
	})
}
