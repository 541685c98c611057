package session

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A gapClock measures the gap between two steps: from when the client was done with one to the
// arrival of the next.
type gapClock struct {
	// from is when the client was done with the last step; zero when that is unknown.
	from time.Time
	// held says that a fault kept the reply back until then.
	held bool
	// to is when the next step first arrived; zero until then. An undecided step counts: it
	// comes again because of the agent and not because the client is slow.
	to time.Time
}

// startGap returns the clock for the gap after a step: it starts when the client has its reply, or
// when its declared timeout is over if that comes first. The reply is sent at replied; fault is
// what the agent does to it.
func startGap(req *protocol.Request, arrived, replied time.Time, fault *validator.Fault) gapClock {
	g := gapClock{from: replied}
	if fault != nil {
		switch fault.Kind {
		case validator.FaultDelay, validator.FaultSplit:
			g = gapClock{from: replied.Add(fault.Delay), held: true}
		case validator.FaultLate:
			g = gapClock{from: arrived.Add(req.Timeout.Duration).Add(fault.Delay), held: true}
		case validator.FaultWithhold:
			g = gapClock{held: true}
		case validator.FaultWrongID:
			// Some clients are done with such a reply, others wait on.
			return gapClock{held: true}
		default: // the reply, a second one, another code or a reset comes at once
		}
	}
	expired := arrived.Add(req.Timeout.Duration)
	if req.Timeout.Declared && (g.from.IsZero() || expired.Before(g.from)) {
		g.from = expired
	}
	return g
}

// stop returns the gap before a step that has arrived; absent when it is unknown. A client may
// have a timeout that it does not declare, and so be done before a held reply is sent.
func (g *gapClock) stop(arrived time.Time) validator.Wait {
	if g.to.IsZero() {
		g.to = arrived
	}
	gap := g.to.Sub(g.from)
	if g.from.IsZero() || gap < 0 && g.held {
		return validator.Wait{}
	}
	return validator.Wait{Duration: max(gap, 0), Declared: true}
}
