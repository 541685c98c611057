package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/stepagent/stepagent/plugins/validator"
)

// maxNodes is the largest number of names, numbers, operators and so on in an expression.
const maxNodes = 500

// A rule is one table of the settings with its compiled expression.
type rule struct {
	name    string
	program *vm.Program
	reason  validator.Reason
	detail  string // for a step with which the rule does not hold
	reads   validator.Inputs
}

// allowed returns the functions of the language that an expression may use. Others read the clock,
// depend on the iteration order of maps, or create values without a bound.
func allowed() []string {
	return []string{
		"all", "any", "none", "one", "count", "filter", "find", "findIndex",
		"len", "min", "max", "mean", "median", "abs", "ceil", "floor", "round", "float",
		"first", "last", "lower", "upper", "trim",
	}
}

// compile compiles an expression. A *file.Error has the position of an error in the expression.
func compile(expression string) (program *vm.Program, reads validator.Inputs, err error) {
	options := []expr.Option{
		expr.Env(variables()), expr.MaxNodes(maxNodes), expr.Optimize(false),
		expr.DisableAllBuiltins(), expr.Function("sum", sum, new(func([]any) any)),
	}
	for _, name := range allowed() {
		options = append(options, expr.EnableBuiltin(name))
	}
	// First as written, for the errors of the language and of the checker.
	check := newChecker()
	if _, err := expr.Compile(expression, append(options, expr.AsBool(), expr.Patch(check))...); err != nil {
		return nil, 0, err
	}
	if check.err != nil {
		return nil, 0, check.err.Bind(file.NewSource(expression))
	}
	// Then with bounds, which add nodes.
	options = append(options, expr.MaxNodes(0), expr.Patch(harden{}))
	program, err = expr.Compile(expression, append(options, hardening()...)...)
	return program, check.reads(), err
}

// describe returns an error of the language in one line, with its position.
func describe(err error) string {
	var at *file.Error
	if !errors.As(err, &at) || at.Line == 0 {
		return plainWords(err.Error())
	}
	return fmt.Sprintf("line %d, column %d: %s", at.Line, at.Column+1, plainWords(at.Message))
}

// plainWords replaces the Go terms in a message of the language by those of config files.
func plainWords(message string) string {
	message, _, _ = strings.Cut(message, "\n")
	operation := strings.HasPrefix(message, "invalid operation: ")
	if wrong, ok := strings.CutPrefix(message, "interface conversion: interface {} is "); ok {
		message, operation = "wrong type: got "+strings.Replace(wrong, ", not ", ", want ", 1), true
	}
	if !operation {
		return withAdvice(strings.TrimPrefix(message, "runtime error: "))
	}
	return strings.NewReplacer("map[string]interface {}", "table", "[]interface {}", "list", "<nil>", "nothing",
		"float64", "number", "int", "number", "bool", "true or false").Replace(message)
}

// token matches a syntax error of the language, with the unexpected part of the expression.
var token = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^unexpected token \w+\((".*")\)$`) })

// withAdvice adds advice to the most common errors.
func withAdvice(message string) string {
	switch {
	case message == "unexpected token EOF":
		return "it ends where more must come"
	case message == `unexpected token Operator("=")`:
		return `unexpected "="; write == to compare`
	case strings.HasPrefix(message, "unknown name "):
		return message + "; there are session, step, data, and the functions in the README of rules"
	default:
		return token().ReplaceAllString(message, "unexpected $1")
	}
}

// evaluate evaluates the rule. The error is errStopped after the deadline; another one says why the
// rule cannot be evaluated.
func (r rule) evaluate(env map[string]any) (holds bool, err error) {
	machine := vm.VM{MemoryBudget: maxElements}
	result, err := machine.Run(r.program, env)
	var wrong *evaluationError
	switch {
	case errors.Is(err, errStopped):
		return false, errStopped
	case errors.As(err, &wrong):
		return false, wrong
	case err != nil:
		return false, fmt.Errorf("cannot be evaluated with this step: %s", describe(err))
	}
	holds, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("gives %s, where it must give true or false", kind(result))
	}
	return holds, nil
}
