package stepfile

import (
	"fmt"
	"slices"
)

// stepKeys are the keys of a step, in the order in which they are missed.
var stepKeys = []string{"step_id", "timeout", "interval", "data"}

// needed tells the keys that a step cannot do without, and why.
var needed = map[string]string{
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
		p.place = count
		if err := p.step(); err != nil {
			return err
		}
	}
	p.place = 0
	if count == 0 {
		p.fail(at, listKey, "has no steps; a run of nothing is never a pass")
	} else if count != usualSteps {
		p.warn(at, listKey, "number", fmt.Sprintf("the number of steps is %d; a session of the agent has %d unless set otherwise",
			count, usualSteps))
	}
	_, err := p.dec.ReadToken()
	return err
}

// step reads one step.
func (p *parser) step() error {
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
	if p.errors == 0 { // else nobody gets to see the steps
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

// absent reports the keys that a step at offset at does not have, and those that nobody
// knows. A key that is missed and one that is written nearly so are one problem.
func (p *parser) absent(at int, have []string, unknown []member) {
	for _, key := range stepKeys {
		if slices.Contains(have, key) {
			continue
		}
		near := slices.IndexFunc(unknown, func(m member) bool { return alike(m.name, key) })
		if near >= 0 {
			m := unknown[near]
			unknown = slices.Delete(unknown, near, near+1)
			p.fail(m.at, "", "unknown key "+quote(m.name)+"; did you mean "+quote(key)+"?")
		} else if why, ok := needed[key]; ok {
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
