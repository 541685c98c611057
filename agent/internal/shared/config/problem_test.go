package config

import "testing"

func TestManyProblems(t *testing.T) {
	t.Parallel()
	problems := make(Problems, 7)
	for n, want := range map[int]int{5: 6, 6: 7, 7: 7, 8: 7} {
		if got := problems.first(n); len(got) != want {
			t.Errorf("the first %d of 7 are %d, want %d", n, len(got), want)
		}
	}
	if got := problems.first(5)[5].Error(); got != "and 2 more problems" {
		t.Errorf("the rest is %q", got)
	}
}
