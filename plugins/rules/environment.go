package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/expr-lang/expr/types"

	"github.com/stepagent/stepagent/plugins/validator"
)

// variables returns the variables of expressions. A key of the type Any may be absent.
func variables() types.Map {
	return types.Map{
		"session": types.Map{"position": types.Int, "steps": types.Int},
		"step": types.Map{"id": types.Any, "at": types.Float64,
			"timeout": types.Any, "interval": types.Any, "gap": types.Any},
		"data":     types.TypeOf(map[string]any{}),
		budgetName: types.Any,
	}
}

// environment returns the values of the variables for one step.
func (r rules) environment(session validator.Session, step validator.Step) (map[string]any, error) {
	reads, env := r.Reads(), make(map[string]any, 4)
	if reads&(validator.InputPosition|validator.InputSteps) != 0 {
		env["session"] = map[string]any{"position": min(session.Position, maxWhole), "steps": min(session.Steps, maxWhole)}
	}
	if reads&stepInputs != 0 {
		fields := map[string]any{"id": number(step.ID), "at": seconds(step.At)}
		for name, wait := range map[string]validator.Wait{"timeout": step.Timeout, "interval": step.Interval, "gap": step.Gap} {
			if wait.Declared {
				fields[name] = seconds(wait.Duration)
			}
		}
		env["step"] = fields
	}
	if reads&validator.InputData == 0 {
		return env, nil
	}
	data := map[string]any{}
	if len(step.Data) > 0 {
		var err error
		if data, err = decode(step.Data); err != nil {
			return nil, err
		}
	}
	env["data"] = data
	return env, nil
}

// stepInputs are the fields of the table step.
const stepInputs = validator.InputStepID | validator.InputAt | validator.InputTimeout | validator.InputInterval | validator.InputGap

// Reads implements validator.Declarer.
func (r rules) Reads() (reads validator.Inputs) {
	for _, rule := range r {
		reads |= rule.reads
	}
	return reads
}

// seconds returns the float64 nearest to the duration, which Duration.Seconds need not be.
func seconds(d time.Duration) float64 { return float64(d) / float64(time.Second) }

// maxWhole is the largest whole number in an expression. It fits the int of a 32-bit board, so that
// verdicts are the same on every machine.
const maxWhole = math.MaxInt32

// number returns a number for expressions: an int, or a float64 beyond maxWhole.
func number(n int64) any {
	if n < -maxWhole || n > maxWhole {
		return float64(n)
	}
	return int(n)
}

// decode decodes the data of a step.
func decode(data []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var object map[string]any
	if err := dec.Decode(&object); err != nil || object == nil {
		return nil, errors.New("the data is no JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("the data is more than one JSON object")
	}
	_, err := convert(object)
	return object, err
}

// convert replaces the JSON numbers in a value by numbers for expressions, in place.
func convert(value any) (_ any, err error) {
	switch v := value.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return number(n), nil
		}
		f, err := v.Float64()
		if err != nil {
			return nil, fmt.Errorf("the number %.30s in the data is too large", v)
		}
		return f, nil
	case map[string]any:
		for key, element := range v {
			if v[key], err = convert(element); err != nil {
				return nil, err
			}
		}
	case []any:
		for i, element := range v {
			if v[i], err = convert(element); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}
