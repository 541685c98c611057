package verify

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// checkInterval checks the interval after the step. It was kept when the pause says so, or the
// client's own clock, which no link delays. It failed only when the bounds of the pause exclude
// that it was kept.
func (c *stepCheck) checkInterval() {
	p, interval := c.pause, c.interval.Duration
	if p == nil || !c.interval.Declared {
		return
	}
	late := c.opts.lateBy(interval)
	kept := func(d time.Duration) bool { return d-interval >= -earlyTolerance && d-interval <= late }
	if kept(p.length) {
		return
	}
	if own, ok := p.byClientClock(); ok && kept(own) {
		return
	}
	if c.awayNext && p.excess() > 0 {
		c.Findings.Add(result.Pass, "away", c.Request.First, "by the record, there was no connection for the next step at first: %s passed until a step was sent", phrase.Span(p.length))
		return
	}
	var text string
	var certain bool
	unless := "unless earlier copies of the packets are missing"
	switch {
	case p.length < 0:
		text = fmt.Sprintf("the client went on %s before it was done with the step", phrase.Span(-p.length))
		certain = p.sentAhead()
	case p.excess() < 0:
		text = fmt.Sprintf("the interval of %s was cut short: the client waited %s", phrase.Declared(interval), phrase.Span(p.length))
		longest, ok := p.longest()
		certain = ok && longest-interval < -earlyTolerance
	default:
		how := "overrun: the client waited"
		if result.Doubled(p.length, interval) {
			how = "waited twice:"
		}
		text = fmt.Sprintf("the interval of %s was %s %s", phrase.Declared(interval), how, phrase.Span(p.length))
		shortest, ok := p.shortest()
		certain = ok && shortest-interval > late
		if !p.sameConn() {
			unless = "unless the client could not connect at first, which the record tells"
		}
	}
	verdict := result.Fail
	if !certain || p.clocksApart() || !p.sameConn() && c.session.mixed {
		verdict = result.Inconclusive
		text += ", " + unless
	}
	c.Findings.Add(verdict, "interval", c.Request.First, "%s", text)
}
