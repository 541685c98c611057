package stepfile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The defaults of the agent's validators. A file that differs can be run, to test the validators.
const (
	usualFirst, usualLast = 1, 10
	usualSteps            = 10
	usualTimeout          = 5 * time.Second
)

// stepKeys are the keys of a step, in the order in which missing ones are reported.
var stepKeys = []string{"step_id", "timeout", "interval", "data"}

// required has the keys that every step must have, and what to say if one is missing.
var required = map[string]string{
	"step_id": "is missing; write the number of the step",
	"timeout": "is missing; write the seconds that the client waits for the reply",
}

// list reads the value of test_services.
func (p *parser) list() error {
	if kind := p.dec.PeekKind(); kind != '[' {
		_, at, err := p.value()
		if err == nil {
			p.fail(at, listKey, "must be a list of steps, not "+kindName(kind))
		}
		return err
	}
	if _, err := p.dec.ReadToken(); err != nil {
		return err
	}
	at := int(p.dec.InputOffset()) - 1
	count := 0
	for p.dec.PeekKind() != ']' {
		count++
		p.step = count
		if err := p.readStep(); err != nil {
			return err
		}
	}
	p.step = 0
	if count == 0 {
		p.fail(at, listKey, "has no steps; a run of nothing is never a pass")
	} else if count != usualSteps {
		p.warn(at, listKey, "number", fmt.Sprintf("the number of steps is %d; a session of the agent has %d unless set otherwise",
			count, usualSteps))
	}
	_, err := p.dec.ReadToken()
	return err
}

// readStep reads one step.
func (p *parser) readStep() error {
	if kind := p.dec.PeekKind(); kind != '{' {
		_, at, err := p.value()
		if err == nil {
			p.fail(at, "", "must be an object with step_id, timeout and interval, not "+kindName(kind))
		}
		return err
	}
	var s Step
	var have []string
	var unknown []member
	at, err := p.object(func(m member) error {
		if !slices.Contains(stepKeys, m.name) {
			unknown = append(unknown, m)
			return p.dec.SkipValue()
		}
		have = append(have, m.name)
		return p.field(&s, m.name)
	})
	if err != nil {
		return err
	}
	p.absent(at, have, unknown)
	if p.kept[false] == 0 { // steps of a file with errors are not returned
		where := p.position(at)
		s.Line, s.Column = where.Line, where.Column
		p.steps = append(p.steps, s)
	}
	return nil
}

// field reads the value of one key of a step into s.
func (p *parser) field(s *Step, key string) error {
	raw, at, err := p.value()
	if err != nil {
		return err
	}
	problem := ""
	switch key {
	case "step_id":
		if s.ID, problem = parseID(raw); problem == "" {
			p.lintID(at, s.ID)
		}
	case "timeout":
		if s.Timeout, problem = parseSeconds(raw); problem == "" {
			p.lintTimeout(at, s.Timeout)
		}
	case "interval":
		s.Interval, problem = parseSeconds(raw)
	case "data":
		var offset int
		s.Data, offset, problem = parseData(raw)
		at += offset
	}
	if problem != "" {
		p.fail(at, key, problem)
	}
	return nil
}

// absent reports the keys that the step at an offset lacks, and unknown keys. A missing key and an
// unknown one that resembles it are one error.
func (p *parser) absent(at int, have []string, unknown []member) {
	for _, key := range stepKeys {
		if slices.Contains(have, key) {
			continue
		}
		near := slices.IndexFunc(unknown, func(m member) bool { return similar(m.name, key) })
		if near >= 0 {
			m := unknown[near]
			unknown = slices.Delete(unknown, near, near+1)
			p.fail(m.at, "", "unknown key "+quote(m.name)+"; did you mean "+quote(key)+"?")
		} else if why, ok := required[key]; ok {
			p.fail(at, key, why)
		}
	}
	for _, m := range unknown {
		p.warnUnknown(m)
	}
}

func (p *parser) warnUnknown(m member) {
	message := "unknown key " + quote(m.name) + " is ignored"
	p.warn(m.at, "", message, message)
}

// lintID warns of a step id that the default validators will refuse, with at most one warning.
func (p *parser) lintID(at int, id int64) {
	firstUse, used := p.firstUse[id]
	if !used {
		p.firstUse[id] = p.position(at).Line
	}
	switch expected := int64(usualFirst + p.step - 1); {
	case id < usualFirst || id > usualLast:
		p.warn(at, "step_id", "outside", fmt.Sprintf("%d is outside %d..%d", id, usualFirst, usualLast))
	case used:
		p.warn(at, "step_id", "twice", fmt.Sprintf("%d is there already, in line %d", id, firstUse))
	case id != expected:
		p.warn(at, "step_id", "order", fmt.Sprintf("%d is out of order; ids go up by one, and %d comes here", id, expected))
	}
}

func (p *parser) lintTimeout(at int, timeout time.Duration) {
	if timeout < usualTimeout {
		message := fmt.Sprintf("%g s is below the usual minimum of %g s", timeout.Seconds(), usualTimeout.Seconds())
		p.warn(at, "timeout", message, message)
	}
}

// similar reports whether name is probably a misspelling of key: the two differ only in case or
// separators, or by one character or one swap.
func similar(name, key string) bool {
	a, b := letters(name), letters(key)
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return len(a) <= 1 && len(b) <= 1 || swapped
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// letters returns a name in lower case without separators.
func letters(name string) string { return separators.Replace(strings.ToLower(name)) }
