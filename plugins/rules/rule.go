package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/stepagent/stepagent/plugins/validator"
)

// maxNodes is how many names, numbers, operators and so on an expression may have.
const maxNodes = 500

// A rule is one table of the settings, ready to be asked.
type rule struct {
	name    string
	program *vm.Program
	reason  validator.Reason
	detail  string // of a step with which the rule does not hold
	reads   validator.Inputs
}

// allowed are the functions of the language that an expression may use. What is left out
// would read the clock, depend on the order in which a map is gone through, or make values
// that grow without a bound.
func allowed() []string {
	return []string{
		"all", "any", "none", "one", "count", "filter", "find", "findIndex",
		"len", "min", "max", "mean", "median", "abs", "ceil", "floor", "round", "float",
		"first", "last", "lower", "upper", "trim",
	}
}

// compile makes a program of an expression. An error that is a *file.Error says where in the
// expression something is wrong.
func compile(expression string) (program *vm.Program, reads validator.Inputs, err error) {
	options := []expr.Option{
		expr.Env(names()), expr.MaxNodes(maxNodes), expr.Optimize(false),
		expr.DisableAllBuiltins(), expr.Function("sum", sum, new(func([]any) any)),
	}
	for _, name := range allowed() {
		options = append(options, expr.EnableBuiltin(name))
	}
	// Once as it was written, for what the language has to say against it.
	look := newLook()
	if _, err := expr.Compile(expression, append(options, expr.AsBool(), expr.Patch(look))...); err != nil {
		return nil, 0, err
	}
	if look.wrong != nil {
		return nil, 0, look.wrong.Bind(file.NewSource(expression))
	}
	// And once with what bounds it. There is room for the nodes that this adds.
	options = append(options, expr.MaxNodes(0), expr.Patch(harden{}))
	program, err = expr.Compile(expression, append(options, hardening()...)...)
	return program, look.reads(), err
}

// where says what an error of the language is about and where, in one line.
func where(err error) string {
	var at *file.Error
	if !errors.As(err, &at) || at.Line == 0 {
		return inWords(err.Error())
	}
	return fmt.Sprintf("line %d, column %d: %s", at.Line, at.Column+1, inWords(at.Message))
}

// inWords says in one line, and in the words of the config, what the language says in those
// of Go.
func inWords(message string) string {
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

// token is how the language shows the part of an expression at which it gives up.
var token = regexp.MustCompile(`^unexpected token \w+\((".*")\)$`)

// withAdvice says what to do about the mistakes that are made most.
func withAdvice(message string) string {
	switch {
	case message == "unexpected token EOF":
		return "it ends where more must come"
	case message == `unexpected token Operator("=")`:
		return `unexpected "="; write == to compare`
	case strings.HasPrefix(message, "unknown name "):
		return message + "; there are session, step, data, and the functions in the README of rules"
	default:
		return token.ReplaceAllString(message, "unexpected $1")
	}
}

// ask evaluates the rule. An error says why it cannot be; it is errStopped when the time is
// over.
func (r rule) ask(env map[string]any) (holds bool, err error) {
	machine := vm.VM{MemoryBudget: maxElements}
	result, err := machine.Run(r.program, env)
	var wrong *evaluationError
	switch {
	case errors.Is(err, errStopped):
		return false, errStopped
	case errors.As(err, &wrong):
		return false, wrong
	case err != nil:
		return false, fmt.Errorf("cannot be evaluated with this step: %s", where(err))
	}
	holds, ok := result.(bool)
	if !ok {
		return false, fmt.Errorf("gives %s, where it must give true or false", kind(result))
	}
	return holds, nil
}
