package rules_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/plugins/rules"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A term is an expression with what it must give: the second written a second time, in Go.
type term struct {
	text  string
	value func(data map[string]int) (value int, missing string) // truth is 1 or 0
}

func names(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, label)
}

// someNumber draws an expression that gives a number.
func someNumber(t *rapid.T, depth int) term {
	switch choice := rapid.IntRange(0, 4).Draw(t, "number"); {
	case choice == 0 || depth == 0 && choice > 2:
		n := rapid.IntRange(0, 5).Draw(t, "literal")
		return term{fmt.Sprint(n), func(map[string]int) (int, string) { return n, "" }}
	case choice == 1:
		name := names(t, "name")
		return term{"data." + name, func(data map[string]int) (int, string) {
			if n, ok := data[name]; ok {
				return n, ""
			}
			return 0, "data." + name
		}}
	case choice == 2:
		name, other := names(t, "name"), rapid.IntRange(0, 5).Draw(t, "other")
		return term{fmt.Sprintf("(data?.%s ?? %d)", name, other), func(data map[string]int) (int, string) {
			if n, ok := data[name]; ok {
				return n, ""
			}
			return other, ""
		}}
	default:
		return both(t, "(%s %s %s)", someNumber(t, depth-1), someNumber(t, depth-1), map[string]func(a, b int) int{
			"+": func(a, b int) int { return a + b }, "-": func(a, b int) int { return a - b }, "*": func(a, b int) int { return a * b },
		})
	}
}

// someTruth draws an expression that gives true or false.
func someTruth(t *rapid.T, depth int) term {
	one := func(truth bool) int {
		if truth {
			return 1
		}
		return 0
	}
	if depth == 0 || rapid.Bool().Draw(t, "leaf") {
		if rapid.IntRange(0, 3).Draw(t, "in") == 0 {
			name := names(t, "name")
			return term{fmt.Sprintf("(%q in data)", name), func(data map[string]int) (int, string) {
				_, ok := data[name]
				return one(ok), ""
			}}
		}
		return both(t, "(%s %s %s)", someNumber(t, depth), someNumber(t, depth), map[string]func(a, b int) int{
			"<": func(a, b int) int { return one(a < b) }, ">=": func(a, b int) int { return one(a >= b) },
			"==": func(a, b int) int { return one(a == b) }, "!=": func(a, b int) int { return one(a != b) },
		})
	}
	left, right := someTruth(t, depth-1), someTruth(t, depth-1)
	switch rapid.IntRange(0, 2).Draw(t, "logic") {
	case 0:
		return term{"not " + left.text, func(data map[string]int) (int, string) {
			v, missing := left.value(data)
			return 1 - v, missing
		}}
	case 1: // the right side counts only when the left is true
		return term{"(" + left.text + " and " + right.text + ")", func(data map[string]int) (int, string) {
			if v, missing := left.value(data); v == 0 || missing != "" {
				return 0, missing
			}
			return right.value(data)
		}}
	default:
		return term{"(" + left.text + " or " + right.text + ")", func(data map[string]int) (int, string) {
			if v, missing := left.value(data); v == 1 || missing != "" {
				return 1, missing
			}
			return right.value(data)
		}}
	}
}

func both(t *rapid.T, form string, left, right term, operators map[string]func(a, b int) int) term {
	operator := rapid.SampledFrom(slices.Sorted(maps.Keys(operators))).Draw(t, "operator")
	return term{fmt.Sprintf(form, left.text, operator, right.text), func(data map[string]int) (int, string) {
		a, missing := left.value(data)
		if missing != "" {
			return 0, missing
		}
		b, missing := right.value(data)
		return operators[operator](a, b), missing
	}}
}

// TestModel compares random expressions with the same in Go.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expression := someTruth(t, 4)
		v, err := rules.New([]byte(one(expression.text)))
		if err != nil {
			t.Fatal(err)
		}
		data := rapid.MapOf(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.IntRange(-3, 6)).Draw(t, "data")
		sent, err := json.Marshal(data)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.Validate(t.Context(), validator.Session{Steps: 10}, validator.Step{ID: 1, Data: sent})
		if err != nil {
			t.Fatal(err)
		}
		value, missing := expression.value(data)
		switch {
		case missing != "" && got.Detail != "rule r: "+missing+" is missing",
			missing == "" && (got.Outcome == validator.Pass) != (value == 1):
			t.Errorf("%s with %s: got %v, %s; want %d, missing %q", expression.text, sent, got.Outcome, got.Detail, value, missing)
		}
	})
}

func FuzzRules(f *testing.F) {
	for _, seed := range []string{`data.voltage > 12`, `all(data.cells, # > 3)`, `let a = 1; a == step.id`, `data?.a.b ?? 1 == 1`,
		`step.id in [1, 2] ? true : data["x"]`, `data.name matches "^a"`, `$env`, `1..2`, `(((`, `if true {1} else {2}`} {
		f.Add(seed, []byte(sample))
	}
	f.Fuzz(func(t *testing.T, expression string, data []byte) {
		if !json.Valid([]byte(one(expression))) || strings.ContainsRune(expression, '\x00') {
			return
		}
		v, err := rules.New([]byte(one(expression)))
		if err != nil {
			return
		}
		step := validator.Step{ID: 1, Data: data}
		first, err := v.Validate(t.Context(), validator.Session{Steps: 10}, step)
		if err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		if err := first.Check(); err != nil {
			t.Fatalf("%s: %v", expression, err)
		}
		if second, err := v.Validate(t.Context(), validator.Session{Steps: 10}, step); err != nil || second.Detail != first.Detail {
			t.Errorf("%s: first %s, then %s, %v", expression, first.Detail, second.Detail, err)
		}
	})
}
