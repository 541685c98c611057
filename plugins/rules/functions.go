package rules

import (
	"context"
	"errors"
	"fmt"

	"github.com/expr-lang/expr"
)

// The names that harden adds to expressions. They contain a space, so that no expression can use them.
const (
	budgetName    = "the budget"
	iterationName = "an iteration"
	fieldName     = "a field"
	addName       = "a sum"
	subName       = "a difference"
	mulName       = "a product"
)

// errStopped ends an evaluation after its deadline.
var errStopped = errors.New("deadline exceeded")

// An evaluationError says why a rule cannot be evaluated.
type evaluationError struct{ problem string }

func (e *evaluationError) Error() string { return e.problem }

func cannot(format string, args ...any) error {
	return &evaluationError{fmt.Sprintf(format, args...)}
}

// A budget bounds the evaluation of a step. It belongs to one call of Validate.
type budget struct {
	ctx        context.Context
	iterations int // left
}

// hardening returns the functions that harden adds to expressions.
func hardening() []expr.Option {
	return []expr.Option{
		expr.Function(iterationName, func(args ...any) (any, error) {
			b := args[0].(*budget)
			if b.iterations--; b.iterations < 0 {
				return nil, cannot("takes more than %d rounds with this data", maxIterations)
			}
			if b.ctx.Err() != nil {
				return nil, errStopped
			}
			return true, nil
		}, new(func(any) bool)),
		expr.Function(fieldName, func(args ...any) (any, error) {
			return field(args[0], args[1], args[2].(string))
		}, new(func(any, any, string) any)),
		expr.Function(addName, add("+"), new(func(any, any) any)),
		expr.Function(subName, arithmetic("-", func(a, b int64) int64 { return a - b }, func(a, b float64) float64 { return a - b }), new(func(any, any) any)),
		expr.Function(mulName, arithmetic("*", func(a, b int64) int64 { return a * b }, func(a, b float64) float64 { return a * b }), new(func(any, any) any)),
	}
}

// field returns the element of from at key; path is its name in the expression.
func field(from, key any, path string) (any, error) {
	switch from := from.(type) {
	case map[string]any:
		name, ok := key.(string)
		if !ok {
			return nil, cannot("there is no %s: a table has names, got %s", path, kind(key))
		}
		if value, ok := from[name]; ok {
			return value, nil
		}
	case []any:
		at, ok := key.(int)
		if !ok {
			return nil, cannot("there is no %s: a list has whole numbers, got %s", path, kind(key))
		}
		if at < 0 {
			at += len(from)
		}
		if at >= 0 && at < len(from) {
			return from[at], nil
		}
	default:
		return nil, cannot("there is no %s: %s has no fields", path, kind(from))
	}
	return nil, cannot("%s is missing", path)
}

// arithmetic returns an operator for numbers. Its results are the same on every machine.
func arithmetic(operator string, whole func(a, b int64) int64, real func(a, b float64) float64) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		a, wholeA := args[0].(int)
		b, wholeB := args[1].(int)
		if wholeA && wholeB && isSmall(a) && isSmall(b) {
			return number(whole(int64(a), int64(b))), nil
		}
		x, okX := asFloat(args[0])
		y, okY := asFloat(args[1])
		if !okX || !okY {
			return nil, cannot("%s is for numbers, got %s and %s", operator, kind(args[0]), kind(args[1]))
		}
		return real(x, y), nil
	}
}

// add returns the addition of numbers; operator is its name in errors.
func add(operator string) func(...any) (any, error) {
	return arithmetic(operator, func(a, b int64) int64 { return a + b }, func(a, b float64) float64 { return a + b })
}

// sum returns the sum of the numbers in a list.
func sum(args ...any) (any, error) {
	list, ok := args[0].([]any)
	if !ok {
		return nil, cannot("sum wants a list, got %s", kind(args[0]))
	}
	var total any = 0
	plus := add("sum")
	for _, element := range list {
		var err error
		if total, err = plus(total, element); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func isSmall(n int) bool { return -maxWhole <= n && n <= maxWhole }

func asFloat(value any) (float64, bool) {
	switch v := value.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}

// kind returns the name of a value's type in config files.
func kind(value any) string {
	switch value.(type) {
	case nil:
		return "nothing"
	case bool:
		return "true or false"
	case string:
		return "a string"
	case int, float64:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	default:
		return fmt.Sprintf("a value of type %T", value)
	}
}
