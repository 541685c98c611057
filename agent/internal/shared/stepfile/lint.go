package stepfile

import (
	"fmt"
	"strings"
	"time"
)

// What the agent's validators want unless they are set otherwise. A file that differs can
// be run: it is how the validators are tested.
const (
	usualFirst, usualLast = 1, 10
	usualSteps            = 10
	usualTimeout          = 5 * time.Second
)

// lintID warns of a step id that will be judged out of order; one warning tells the most
// that can be told.
func (p *parser) lintID(at int, id int64) {
	firstUse, used := p.firstUse[id]
	if !used {
		p.firstUse[id] = p.position(at).Line
	}
	switch expected := int64(usualFirst + p.place - 1); {
	case id < usualFirst || id > usualLast:
		p.warn(at, "step_id", "outside", fmt.Sprintf("%d is outside %d..%d", id, usualFirst, usualLast))
	case used:
		p.warn(at, "step_id", "twice", fmt.Sprintf("%d is there already, in line %d", id, firstUse))
	case id != expected:
		p.warn(at, "step_id", "order", fmt.Sprintf("%d is out of order; ids go up by one, and %d comes here", id, expected))
	}
}

// lintTimeout warns of a timeout that will be judged too short.
func (p *parser) lintTimeout(at int, timeout time.Duration) {
	if timeout < usualTimeout {
		message := fmt.Sprintf("%g s is below the usual minimum of %g s", timeout.Seconds(), usualTimeout.Seconds())
		p.warn(at, "timeout", message, message)
	}
}

// alike reports whether somebody who wrote name most likely meant key: it differs in case
// or in separators only, or by one character or one swap.
func alike(name, key string) bool {
	a, b := bare(name), bare(key)
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	swapped := len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
	return len(a) <= 1 && len(b) <= 1 || swapped
}

// bare returns the letters of a name alone, in lower case.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-. ", r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}
