package validatortest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
	"github.com/stepagent/stepagent/plugins/validatortest"
)

// TestCheckFindsSlowness: a validator that goes on when its time is over is found; one that
// is slow once is not taken for one.
func TestCheckFindsSlowness(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		slow func(call int) time.Duration
		want []string
	}{
		"always":       {func(int) time.Duration { return 2 * time.Second }, []string{"deadline: the context ended after 1s, and the call did not, 3 times"}},
		"later":        {func(n int) time.Duration { return time.Duration(n) * 10 * time.Millisecond }, []string{"deadline: the context ended after 1s, and the call did not, 3 times"}},
		"twice":        {func(n int) time.Duration { return map[int]time.Duration{7: 2 * time.Second, 8: 2 * time.Second}[n] }, nil},
		"just in time": {func(n int) time.Duration { return time.Second * time.Duration(1-min(n/50, 1)) }, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := 0
			v := contextual(func(context.Context) (validator.Verdict, error) {
				if n++; n < 1000 { // as a whole session and some more
					time.Sleep(test.slow(n))
				}
				return pass()
			})
			// Concurrent questions come only when all is well, and much later.
			var got []string
			for _, failure := range failures(func() validator.Validator { return once(v) }, validatortest.Options{}) {
				got = append(got, strings.SplitN(failure, "\n", 2)[0])
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%s: got %q, want %q", name, got, test.want)
			}
		})
	}
}

// once is one call at a time, so that counting needs no lock.
func once(v validator.Validator) validator.Validator {
	turn := make(chan struct{}, 1)
	return contextual(func(ctx context.Context) (validator.Verdict, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		return v.Validate(ctx, validator.Session{}, validator.Step{})
	})
}

func TestExamine(t *testing.T) {
	t.Parallel()
	last, of := -1, 0
	opts := validatortest.Options{Progress: func(done, all int) {
		if done < last || done > all {
			t.Errorf("progress goes from %d to %d of %d", last, done, all)
		}
		last, of = done, all
	}}
	got, err := validatortest.Examine(func() (validator.Validator, error) { return judgement(counting), nil }, opts)
	if err != nil || len(got) > 0 || of == 0 || last < of*9/10 {
		t.Errorf("got %v, %v, with progress to %d of %d", got, err, last, of)
	}
	got, err = validatortest.Examine(func() (validator.Validator, error) { return remembering(), nil }, validatortest.Options{})
	if err != nil || len(got) == 0 || got[0].Law != "purity" || !strings.Contains(got[0].Text, "asked twice") {
		t.Errorf("got %v, %v", got, err)
	}
	gone := errors.New("gone")
	calls := 0
	_, err = validatortest.Examine(func() (validator.Validator, error) {
		if calls++; calls == 3 {
			return nil, gone
		}
		return judgement(inOrder), nil
	}, validatortest.Options{})
	if !errors.Is(err, gone) || calls != 3 {
		t.Errorf("after %d calls: %v", calls, err)
	}
}
