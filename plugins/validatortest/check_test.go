package validatortest_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// A judgement is Validate without the context.
type judgement func(validator.Session, validator.Step) (validator.Verdict, error)

func (j judgement) Validate(_ context.Context, s validator.Session, st validator.Step) (validator.Verdict, error) {
	return j(s, st)
}

// An expecting validator is one with an Expecter of its own.
type expecting struct {
	judgement
	expects func(validator.Session) (int64, bool)
}

func (e expecting) Expects(s validator.Session) (int64, bool) { return e.expects(s) }

// inOrder wants step n in position n.
func inOrder(s validator.Session, st validator.Step) (validator.Verdict, error) {
	if want := int64(s.Position) + 1; st.ID != want {
		return validator.FailWith(validator.OutOfOrder, fmt.Sprintf("want %d", want), nil), nil
	}
	return validator.PassWith(nil), nil
}

func nextID(s validator.Session) (int64, bool) { return int64(s.Position) + 1, true }

// counting keeps in State how many steps there were.
func counting(s validator.Session, _ validator.Step) (validator.Verdict, error) {
	var n uint64
	switch len(s.State) {
	case 0:
	case 8:
		n = binary.BigEndian.Uint64(s.State)
	default:
		return validator.Verdict{}, errors.New("state cannot be read")
	}
	v := validator.PassWith(binary.BigEndian.AppendUint64(nil, n+1))
	if n%3 == 2 {
		v.Fault = &validator.Fault{Kind: validator.FaultReset}
	}
	return v, nil
}

// fewSessions are two sessions of every length but the longest.
const fewSessions = 12

func TestCheckIsContent(t *testing.T) {
	t.Parallel()
	good := map[string]validator.Validator{
		"pure and stateless":  judgement(inOrder),
		"counting":            judgement(counting),
		"expecting":           expecting{inOrder, nextID},
		"expecting nothing":   expecting{inOrder, func(validator.Session) (int64, bool) { return 0, false }},
		"declaring":           declaring{inOrder, reading(validator.InputPosition | validator.InputStepID)},
		"declaring its state": declaring{counting, reading(0)},
		"declaring all":       declaring{inOrder, reading(validator.AllInputs)},
		"declaring and expecting": expectingDeclarer{
			declaring{inOrder, reading(validator.InputPosition | validator.InputStepID)}, nextID},
		"ended context": contextual(func(ctx context.Context) (validator.Verdict, error) {
			return validator.PassWith(nil), ctx.Err()
		}),
	}
	for name, v := range good {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed, sessions := range []int{0, fewSessions} { // 0 is the default
				validatortest.Check(t, func() validator.Validator { return v }, validatortest.Options{Seed: uint64(seed), Sessions: sessions})
			}
		})
	}
}

type contextual func(ctx context.Context) (validator.Verdict, error)

func (c contextual) Validate(ctx context.Context, _ validator.Session, _ validator.Step) (validator.Verdict, error) {
	v, err := c(ctx)
	if err != nil {
		return validator.Verdict{}, err
	}
	return v, nil
}

func pass() (validator.Verdict, error) { return validator.PassWith(nil), nil }

func TestCheckUsesWhatOptionsGive(t *testing.T) {
	t.Parallel()
	var ids, data atomic.Int64
	v := judgement(func(_ validator.Session, st validator.Step) (validator.Verdict, error) {
		if st.ID == 4711 {
			ids.Add(1)
		}
		if string(st.Data) == `{"mine":1}` {
			data.Add(1)
		}
		return pass()
	})
	validatortest.Check(t, func() validator.Validator { return v },
		validatortest.Options{StepIDs: []int64{4711}, Data: [][]byte{[]byte(`{"mine":1}`)}})
	if ids.Load() == 0 || data.Load() == 0 {
		t.Errorf("step id came %d times and data %d times, want both", ids.Load(), data.Load())
	}
}

func TestCheckIsRepeatable(t *testing.T) {
	t.Parallel()
	count := func(seed uint64) int64 {
		var total atomic.Int64
		v := judgement(func(s validator.Session, st validator.Step) (validator.Verdict, error) {
			total.Add(int64(s.Position+1) * (st.ID%1000 + int64(st.Timeout.Duration%1000)))
			return pass()
		})
		validatortest.Check(t, func() validator.Validator { return v }, validatortest.Options{Seed: seed})
		return total.Load()
	}
	first, again, other := count(1), count(1), count(2)
	if first != again {
		t.Error("the same seed made other questions")
	}
	if first == other {
		t.Error("another seed made the same questions")
	}
}

// A recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB
	failures []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	panic(r) // ends Check, as the real one does
}

// failures returns what Check has against the validators.
func failures(fresh func() validator.Validator, opts validatortest.Options) []string {
	r := &recorder{}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(r) {
				panic(p)
			}
		}()
		validatortest.Check(r, fresh, opts)
	}()
	return r.failures
}

func TestCheckFindsAHang(t *testing.T) {
	t.Parallel()
	// In the bubble, patience ends as soon as all goroutines are blocked.
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		v := contextual(func(ctx context.Context) (validator.Verdict, error) {
			if ctx.Err() != nil {
				<-release
			}
			return pass()
		})
		got := failures(func() validator.Validator { return v }, validatortest.Options{})
		if len(got) != 1 || !strings.HasPrefix(got[0], "answer: no answer within 10s\n") {
			t.Errorf("got %q, want one hang", got)
		}
	})
}
