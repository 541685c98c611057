package judge_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestMerge has three validators in two groups, a and b together, c alone. Before, each was
// given a state: a0, b0 and c0.
func TestMerge(t *testing.T) {
	t.Parallel()
	const (
		order = validator.OutOfOrder
		rule  = validator.RuleBroken
	)
	malformed := judge.Answer{Verdict: validator.Verdict{Outcome: validator.Pass, Reason: order}}
	want := func(o validator.Outcome, by string, r validator.Reason, detail string) judge.Judgement {
		return judge.Judgement{Outcome: o, By: by, Reason: r, Detail: detail}
	}
	undecided := func(by, why string) judge.Judgement {
		return want(validator.Undecided, by, "", "validator "+by+" gave no verdict: "+why)
	}
	old := map[string]string{"a": "a0", "b": "b0", "c": "c0"}

	tests := map[string]struct {
		ab      []judge.Answer
		c       []judge.Answer
		want    judge.Judgement
		expects int64 // 0 for none
		states  map[string]string
	}{
		"all pass": {
			ab: []judge.Answer{pass("a1"), pass("b1")}, c: []judge.Answer{pass("c1")},
			want:   want(validator.Pass, "", "", ""),
			states: map[string]string{"a": "a1", "b": "b1", "c": "c1"},
		},
		"a state is replaced as a whole, nil forgets": {
			ab: []judge.Answer{pass(""), pass("b1")}, c: []judge.Answer{pass("")},
			want:   want(validator.Pass, "", "", ""),
			states: map[string]string{"b": "b1"},
		},
		"the first fail speaks": {
			ab:     []judge.Answer{pass("a1"), fail(rule, "b says", "b1")},
			c:      []judge.Answer{fail(order, "c says", "c1")},
			want:   want(validator.Fail, "b", rule, "b says"),
			states: map[string]string{"a": "a1", "b": "b1", "c": "c1"},
		},
		"fail beats an earlier undecided, which keeps its state": {
			ab: []judge.Answer{none("no"), pass("b1")}, c: []judge.Answer{fail(order, "c says", "c1")},
			want:   want(validator.Fail, "c", order, "c says"),
			states: map[string]string{"a": "a0", "b": "b1", "c": "c1"},
		},
		"fail beats a later undecided, which keeps its state": {
			ab: []judge.Answer{fail(order, "a says", "a1"), pass("b1")}, c: []judge.Answer{none("no")},
			want:   want(validator.Fail, "a", order, "a says"),
			states: map[string]string{"a": "a1", "b": "b1", "c": "c0"},
		},
		"undecided beats pass and leaves all states": {
			ab: []judge.Answer{pass("a1"), none("no")}, c: []judge.Answer{pass("c1")},
			want: undecided("b", "no"), states: old,
		},
		"the first undecided speaks": {
			ab: []judge.Answer{pass("a1"), none("one")}, c: []judge.Answer{none("two")},
			want: undecided("b", "one"), states: old,
		},
		"a malformed verdict is undecided": {
			ab: []judge.Answer{pass("a1"), malformed}, c: []judge.Answer{pass("c1")},
			want:   undecided("b", `malformed verdict: reason: a pass has none, got "out_of_order"`),
			states: old,
		},
		"a malformed fail does not beat pass": {
			ab: []judge.Answer{fail("nonsense", "", "a1"), pass("b1")}, c: []judge.Answer{pass("c1")},
			want: undecided("a", `malformed verdict: reason: a fail has one of `+
				`["out_of_order" "timeout_too_short" "interval_not_kept" "rule_broken"], got "nonsense"`),
			states: old,
		},
		"no outcome and no error is undecided": {
			ab: []judge.Answer{pass("a1"), {}}, c: []judge.Answer{pass("c1")},
			want:   undecided("b", "malformed verdict: outcome: undecided without an error; return a pass, a fail or an error"),
			states: old,
		},
		"a verdict beside an error does not count": {
			ab: []judge.Answer{{Verdict: fail(order, "", "a1").Verdict, Err: none("no").Err}, pass("b1")},
			c:  []judge.Answer{pass("c1")}, want: undecided("a", "no"), states: old,
		},
		"a missing answer is undecided": {
			ab: []judge.Answer{pass("a1")}, c: []judge.Answer{pass("c1")},
			want: undecided("b", "no answer"), states: old,
		},
		"no answers at all are undecided": {
			c: []judge.Answer{pass("c1")}, want: undecided("a", "no answer"), states: old,
		},
		"one answer too many is nobody's": {
			ab: []judge.Answer{pass("a1"), pass("b1"), fail(order, "", "")}, c: []judge.Answer{pass("c1")},
			want:   want(validator.Pass, "", "", ""),
			states: map[string]string{"a": "a1", "b": "b1", "c": "c1"},
		},
		"a state too long is undecided": {
			ab:     []judge.Answer{pass("a1"), pass(strings.Repeat("x", validator.MaxStateBytes+1))},
			c:      []judge.Answer{pass("c1")},
			want:   undecided("b", "malformed verdict: state: 4097 bytes, at most 4096 are allowed"),
			states: old,
		},
		"the first who knows says what must come": {
			ab: []judge.Answer{pass("a1"), expecting(pass("b1"), 7)}, c: []judge.Answer{expecting(pass("c1"), 8)},
			want:    want(validator.Pass, "", "", ""),
			expects: 7, states: map[string]string{"a": "a1", "b": "b1", "c": "c1"},
		},
		"a failing validator knows as well": {
			ab: []judge.Answer{expecting(fail(order, "a says", "a1"), 7), pass("b1")}, c: []judge.Answer{pass("c1")},
			want:    want(validator.Fail, "a", order, "a says"),
			expects: 7, states: map[string]string{"a": "a1", "b": "b1", "c": "c1"},
		},
		"not to know is no step id": {
			ab: []judge.Answer{{Verdict: pass("a1").Verdict, Expects: judge.Expectation{StepID: 9}}, pass("b1")}, c: []judge.Answer{pass("c1")},
			want:   want(validator.Pass, "", "", ""),
			states: map[string]string{"a": "a1", "b": "b1", "c": "c1"},
		},
		"an undecided one knows nothing": {
			ab: []judge.Answer{expecting(none("no"), 7), pass("b1")}, c: []judge.Answer{expecting(fail(rule, "", "c1"), 8)},
			want:    want(validator.Fail, "c", rule, ""),
			expects: 8, states: map[string]string{"a": "a0", "b": "b1", "c": "c1"},
		},
		"when undecided nothing must come": {
			ab: []judge.Answer{expecting(pass("a1"), 7), none("no")}, c: []judge.Answer{pass("c1")},
			want: undecided("b", "no"), states: old,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := judgeBy(t, judge.Options{}, nil,
				saying([]string{"a", "b", "c"}, pass("a0"), pass("b0"), pass("c0"))).Memory
			got := judgeBy(t, judge.Options{Generation: 5}, memory,
				saying([]string{"a", "b"}, test.ab...), saying([]string{"c"}, test.c...))

			test.want.Generation = 5
			if test.expects != 0 {
				test.want.Expects = judge.Expectation{StepID: test.expects, Known: true}
			}
			states := remembered(t, got.Memory, "a", "b", "c")
			got.Memory = nil
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("judgement, want - got +\n%s", diff)
			}
			if diff := cmp.Diff(test.states, states); diff != "" {
				t.Errorf("states, want - got +\n%s", diff)
			}
			if diff := cmp.Diff(old, remembered(t, memory, "a", "b", "c")); diff != "" {
				t.Errorf("the memory before was changed, want - got +\n%s", diff)
			}
		})
	}
}

func TestMemoryForgetsValidatorsThatAreGone(t *testing.T) {
	t.Parallel()
	memory := judgeBy(t, judge.Options{}, nil, saying([]string{"a", "b"}, pass("a0"), pass("b0"))).Memory
	if memory.Bytes() != 4 {
		t.Errorf("got %d bytes, want 4", memory.Bytes())
	}
	memory = judgeBy(t, judge.Options{}, memory, saying([]string{"b", "c"}, pass("b1"), pass("c1"))).Memory
	want := map[string]string{"b": "b1", "c": "c1"}
	if diff := cmp.Diff(want, remembered(t, memory, "a", "b", "c")); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

func TestFaultsOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	const delay, reset = validator.FaultDelay, validator.FaultReset
	tests := map[string]struct {
		answers []judge.Answer
		want    validator.FaultKind // where allowed; 0 for none
	}{
		"none":                     {[]judge.Answer{pass(""), pass("")}, 0},
		"with a pass":              {[]judge.Answer{pass(""), faulty(pass(""), delay)}, delay},
		"with a fail":              {[]judge.Answer{pass(""), faulty(fail(validator.RuleBroken, "", ""), delay)}, delay},
		"beside another's fail":    {[]judge.Answer{fail(validator.RuleBroken, "", ""), faulty(pass(""), delay)}, delay},
		"the first counts":         {[]judge.Answer{faulty(pass(""), reset), faulty(pass(""), delay)}, reset},
		"never when undecided":     {[]judge.Answer{faulty(pass(""), reset), none("no")}, 0},
		"never with an error":      {[]judge.Answer{faulty(none("no"), reset), fail(validator.RuleBroken, "", "")}, 0},
		"malformed, so no verdict": {[]judge.Answer{faulty(pass(""), 99), pass("")}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, allowed := range []bool{false, true} {
				got := judgeBy(t, judge.Options{AllowFaults: allowed}, nil, saying([]string{"a", "b"}, test.answers...))
				var kind validator.FaultKind
				if got.Fault != nil {
					kind = got.Fault.Kind
				}
				want := test.want
				if !allowed {
					want = 0
				}
				if kind != want {
					t.Errorf("allowed %t: got %v, want %v", allowed, kind, want)
				}
			}
		})
	}
}

func TestChainWithoutValidatorsPasses(t *testing.T) {
	t.Parallel()
	chain := judge.NewChain(judge.Options{Generation: 2})
	if got := judge.New(chain).Judge(t.Context(), judge.Session{}, judge.Step{}); got.Outcome != validator.Pass || got.Generation != 2 {
		t.Errorf("got %+v", got)
	}
	if got := chain.First(); got.Known {
		t.Errorf("expects %+v first", got)
	}
}

func TestFirstIsTheWordOfTheFirstWhoKnows(t *testing.T) {
	t.Parallel()
	known := func(id int64) judge.Expectation { return judge.Expectation{StepID: id, Known: true} }
	a := &stub{names: []string{"a", "b"}, first: []judge.Expectation{{}, known(4)}}
	b := &stub{names: []string{"c"}, first: []judge.Expectation{known(5)}}
	j := judge.New(judge.NewChain(judge.Options{}, a, b))
	if got := j.First(); got != known(4) {
		t.Errorf("got %+v", got)
	}
	j.Swap(judge.NewChain(judge.Options{}, b, a))
	if got := j.First(); got != known(5) {
		t.Errorf("after the swap: got %+v", got)
	}
}

// TestEachIsGivenItsOwn looks at what a group is asked, either way: neither the session's ID nor
// a State of another, and the wish for fresh answers.
func TestEachIsGivenItsOwn(t *testing.T) {
	t.Parallel()
	memory := judgeBy(t, judge.Options{}, nil, saying([]string{"c", "a"}, pass("c0"), pass("a0"))).Memory
	for _, fresh := range []bool{false, true} {
		want := judge.Call{
			Session: validator.Session{Position: 3, Steps: 10},
			States:  [][]byte{[]byte("a0"), nil, []byte("c0")},
			Step:    validator.Step{ID: 4, At: time.Minute, Data: []byte("{}")},
			Fresh:   fresh,
		}
		var asked []string
		saw := func(how string, call judge.Call) []judge.Answer {
			asked = append(asked, how)
			if diff := cmp.Diff(want, call); diff != "" {
				t.Errorf("%s, want - got +\n%s", how, diff)
			}
			return []judge.Answer{pass(""), pass(""), pass("")}
		}
		s := &stub{
			names:   []string{"a", "b", "c"},
			answers: func(_ context.Context, call judge.Call) []judge.Answer { return saw("Judge", call) },
			try:     func(call judge.Call) ([]judge.Answer, bool) { return saw("Try", call), true },
			tried:   func(call judge.Call, _ []judge.Answer) { saw("Tried", call) },
		}
		j := judge.New(judge.NewChain(judge.Options{}, s))
		session := judge.Session{ID: "s", Position: 3, Steps: 10, Memory: memory}
		step := judge.Step{Step: want.Step, Arrived: time.Now(), Fresh: fresh}
		j.Judge(t.Context(), session, step)
		if _, ok := j.Try(session, step); !ok {
			t.Error("Try says no")
		}
		if diff := cmp.Diff([]string{"Judge", "Try", "Tried"}, asked); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	}
}

// TestReasonsAgree: what a validator may say has a word of its own on the wire, so that one
// may be turned into the other as it stands.
func TestReasonsAgree(t *testing.T) {
	t.Parallel()
	var wire []validator.Reason
	for _, r := range protocol.Judged() {
		wire = append(wire, validator.Reason(r))
	}
	if diff := cmp.Diff(validator.Reasons(), wire); diff != "" {
		t.Errorf("validator.Reasons - protocol.Judged +\n%s", diff)
	}
}
