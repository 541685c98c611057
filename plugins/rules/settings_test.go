package rules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/plugins/rules"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestRefusedExpressions: what does not compile is refused with line and column.
func TestRefusedExpressions(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"step.id +":                     "line 1, column 9: it ends where more must come",
		"true and\n  data.x >":          "line 2, column 10: it ends where more must come",
		"step.id = 1":                   `line 1, column 9: unexpected "="; write == to compare`,
		"step.id & 1 == 0":              `line 1, column 9: unexpected "&"`,
		"step.id == 1)":                 `line 1, column 13: unexpected ")"`,
		"ä == 1":                        "line 1, column 1: unknown name ä; there are session, step, data, and ",
		`"ä" == volt`:                   "line 1, column 8: unknown name volt",
		"step.timeut > 5":               "line 1, column 6: unknown field timeut",
		"session.id == 's'":             "line 1, column 9: unknown field id",
		"step.id":                       "",
		"1 + 1":                         "expected bool, but got int",
		"step.at == 'x'":                "line 1, column 9: invalid operation: == (mismatched types number and string)",
		"data[3] == 1":                  "line 1, column 6: cannot use int to get an element from map[string]interface {}",
		"data.x matches '('":            "line 1, column 8: error parsing regexp: missing closing ): `(`",
		"data.x matches data.y":         "line 1, column 21: the pattern of matches must be written out as a string",
		"step.id < 2147483648":          `rule "r", line 1, column `, // a 32-bit board has it from the language, in other words
		"now() != nil":                  "line 1, column 1: unknown name now",
		"date('2020-01-01') != nil":     "line 1, column 1: unknown name date",
		"duration('1s') != nil":         "line 1, column 1: unknown name duration",
		"keys(data)[0] == 'a'":          "line 1, column 1: unknown name keys",
		"repeat('a', 1000000) == 'a'":   "line 1, column 1: unknown name repeat",
		"len(map(data.x, #)) == 1":      "line 1, column 5: there is no function map here",
		"reduce(data.x, #acc + #) == 1": "line 1, column 1: there is no function reduce here",
		"len(sortBy(data.x, #)) == 1":   "line 1, column 5: there is no function sortBy here",
		"len(groupBy(data.x, #)) == 1":  "line 1, column 5: there is no function groupBy here",
		"$env.step.id == 1":             "line 1, column 1: there is no $env here; name session, step or data",
		"$env['the budget'] == 1":       "line 1, column 1: there is no $env here; name session, step or data",
		"len([data.x]) == 1":            "line 1, column 11: a list in a rule is made of numbers, strings, true, false and nil",
		"len([[1]]) == 1":               "line 1, column 6: a list in a rule is made of numbers, strings, true, false and nil",
		"len({a: 1}) == 1":              "line 1, column 5: a rule makes no tables",
		"b'x' == nil":                   "line 1, column 1: a rule has no use for bytes; write a string",
		strings.Repeat("1+", 300) + "1": "exceeds maximum allowed nodes",
		strings.Repeat(" ", 4096) + "1": "4097 bytes, at most 4096 are allowed",
		"":                              "required: what must hold for every step, such as data.voltage >= 22",
	} {
		_, err := rules.New([]byte(one(expression)))
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", expression, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %s", expression, err, want)
			continue
		}
		wrong, ok := errors.AsType[*validator.SettingError](err)
		if !ok || wrong.Key != "rule[0].expression" {
			t.Errorf("%.40s: got %T with key %q", expression, err, wrong.Key)
		}
		if strings.Contains(want, "line ") && !strings.HasPrefix(wrong.Problem, `rule "r", line `) {
			t.Errorf("%.40s: the problem does not begin with the rule's name and the place: %s", expression, wrong.Problem)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var all []map[string]string
		for i := range n {
			all = append(all, map[string]string{"name": fmt.Sprint(i), "expression": "true"})
		}
		b, err := json.Marshal(map[string]any{"rule": all})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	newRules(t, many(100))
	for settings, want := range map[string]string{
		``:                                 "rule: required: a table for each rule, with name and expression",
		`{"rule":[]}`:                      "rule: required: a table for each rule, with name and expression",
		`{"rules":[{}]}`:                   "rules: unknown key; the keys here are rule",
		`{"rule":{}}`:                      "rule: want a list, got a table",
		`{"rule":[5]}`:                     "rule[0]: want a table, got a number",
		many(101):                          "rule: 101 rules, at most 100 are allowed",
		`{"rule":[{"name":"a"}]}`:          "rule[0].expression: required: what must hold for every step, such as data.voltage >= 22",
		`{"rule":[{"expression":"true"}]}`: "rule[0].name: required: a word that identifies the rule",
		`{"rule":[{"name":"a\n","expression":"true"}]}`:                                           `rule[0].name: want 1 to 64 printable characters, got "a\n"`,
		`{"rule":[{"name":"a","expression":"true","why":1}]}`:                                     "rule[0].why: unknown key; the keys here are detail, expression, name, reason",
		`{"rule":[{"name":"a","expression":"true","reason":"busy"}]}`:                             "rule[0].reason: want one of out_of_order, timeout_too_short, interval_not_kept, rule_broken, got \"busy\"",
		`{"rule":[{"name":"a","expression":"true","detail":"` + strings.Repeat("x", 401) + `"}]}`: "rule[0].detail: 401 bytes, at most 400 are allowed",
		`{"rule":[{"name":"a","expression":"true"},{"name":"a","expression":"x"},{"name":"a","expression":"true"}]}`: "rule[1].expression: rule \"a\", line 1, column 1: unknown name x; there are session, step, data, and the functions in the README of rules\n" +
			"rule[2].name: there is another rule \"a\"; give each a name of its own",
	} {
		v, err := rules.New([]byte(settings))
		if err == nil || v != nil || err.Error() != want {
			t.Errorf("%.60s: got %v and error %v, want %q", settings, v, err, want)
		}
	}
}
