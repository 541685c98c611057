package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Limits of the settings.
const (
	// MaxRules is the largest number of rules of one validator.
	MaxRules = 100
	// MaxExpressionBytes is the length of the longest expression, in bytes.
	MaxExpressionBytes = 4096
	maxNameBytes       = 64
	maxDetailBytes     = 400 // leaves room for the name
)

// New makes the validator from its settings. It is a [validator.Factory].
func New(settings []byte) (validator.Validator, error) {
	var s struct {
		Rule []json.RawMessage `json:"rule"`
	}
	if err := validator.DecodeSettings(settings, &s); err != nil {
		return nil, err
	}
	switch n := len(s.Rule); {
	case n == 0:
		return nil, &validator.SettingError{Key: "rule", Problem: "required: a table for each rule, with name and expression"}
	case n > MaxRules:
		return nil, &validator.SettingError{Key: "rule", Problem: fmt.Sprintf("%d rules, at most %d are allowed", n, MaxRules)}
	}
	var all rules
	var problems []error
	for i, settings := range s.Rule {
		path := fmt.Sprintf("rule[%d]", i)
		rule, err := readRule(path, settings)
		if err == nil && slices.ContainsFunc(all, rule.sameName) {
			err = &validator.SettingError{Key: path + ".name", Problem: fmt.Sprintf("there is another rule %q; give each a name of its own", rule.name)}
		}
		problems = append(problems, err)
		all = append(all, rule)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return all, nil
}

func (r rule) sameName(other rule) bool { return r.name == other.name }

// readRule decodes the table of a rule at path.
func readRule(path string, settings []byte) (rule, error) {
	t := struct {
		Name       string `json:"name"`
		Expression string `json:"expression"`
		Reason     string `json:"reason"`
		Detail     string `json:"detail"`
	}{Reason: string(validator.RuleBroken)}
	if err := validator.DecodeSettingsAt(path, settings, &t); err != nil {
		return rule{}, err
	}
	problems := validator.Problems{Path: path}
	switch {
	case t.Name == "":
		problems.Add("name", "required: a word that identifies the rule")
	case len(t.Name) > maxNameBytes || strings.ContainsFunc(t.Name, unprintable):
		problems.Add("name", "want 1 to %d printable characters, got %.80q", maxNameBytes, t.Name)
	}
	if !slices.Contains(validator.Reasons(), validator.Reason(t.Reason)) {
		problems.Add("reason", "want one of %s, got %.64q", reasons(), t.Reason)
	}
	if len(t.Detail) > maxDetailBytes {
		problems.Add("detail", "%d bytes, at most %d are allowed", len(t.Detail), maxDetailBytes)
	}
	r := rule{name: t.Name, reason: validator.Reason(t.Reason), detail: t.Detail}
	if r.detail == "" {
		r.detail = t.Expression + " does not hold"
	}
	switch n := len(t.Expression); {
	case n == 0:
		problems.Add("expression", "required: what must hold for every step, such as data.voltage >= 22")
	case n > MaxExpressionBytes:
		problems.Add("expression", "%d bytes, at most %d are allowed", n, MaxExpressionBytes)
	default:
		var err error
		if r.program, r.reads, err = compile(t.Expression); err != nil {
			problems.Add("expression", "rule %q, %s", t.Name, describe(err))
		}
	}
	return r, problems.Err()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func reasons() string {
	var words []string
	for _, reason := range validator.Reasons() {
		words = append(words, string(reason))
	}
	return strings.Join(words, ", ")
}
