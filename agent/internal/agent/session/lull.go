package session

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A lull is what the agent can tell of the time that a client lets pass between two steps.
type lull struct {
	// from is when the client was done with the last step; zero when there is no telling.
	from time.Time
	// held says that a fault kept the reply back until then.
	held bool
	// to is when the first step after it arrived; zero until then. A step that was undecided
	// counts: it comes again because of the agent and not because the client is slow.
	to time.Time
}

// after returns the lull that begins with the end of a step: when the client has its reply,
// or before that when the timeout that it declared is over. The step is judged at replied;
// fault is what the agent does to its reply.
func after(req *protocol.Request, arrived, replied time.Time, fault *validator.Fault) lull {
	l := lull{from: replied}
	if fault != nil {
		switch fault.Kind {
		case validator.FaultDelay, validator.FaultSplit:
			l = lull{from: replied.Add(fault.Delay), held: true}
		case validator.FaultLate:
			l = lull{from: arrived.Add(req.Timeout.Duration).Add(fault.Delay), held: true}
		case validator.FaultWithhold:
			l = lull{held: true}
		case validator.FaultWrongID:
			// Some clients are done with such a reply, others wait on.
			return lull{held: true}
		default: // the reply, a second one, another code or a reset comes at once
		}
	}
	expired := arrived.Add(req.Timeout.Duration)
	if req.Timeout.Declared && (l.from.IsZero() || expired.Before(l.from)) {
		l.from = expired
	}
	return l
}

// gap returns how long the lull was when a step arrives; absent when there is no telling. A
// client that does not wait for a reply that a fault keeps back may have a timeout which it
// has not declared.
func (l *lull) gap(arrived time.Time) validator.Wait {
	if l.to.IsZero() {
		l.to = arrived
	}
	gap := l.to.Sub(l.from)
	if l.from.IsZero() || gap < 0 && l.held {
		return validator.Wait{}
	}
	return validator.Wait{Duration: max(gap, 0), Declared: true}
}
