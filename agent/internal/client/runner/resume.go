package runner

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

// maxAway limits the recorded time of an interruption: the wall clock of a board without a battery may
// have stood at 1970.
const maxAway = 100 * 365 * 24 * time.Hour

// An Interrupted is a run that was interrupted, as its record shows it; see Options.Resume.
type Interrupted struct {
	events []record.Event
	run    record.Run
}

// Resumable returns the run of a record that was interrupted, so that Run can go on with it. The error
// says why it cannot: the record contradicts itself, has an end that is no interruption, is that of a
// plain run, or is of another procedure.
func Resumable(log record.Log, procedure stepfile.Procedure) (*Interrupted, error) {
	run, err := log.Fold()
	if err != nil {
		return nil, err
	}
	recorded := run.Start.Procedure
	switch {
	case !run.Cut() && run.Cause != record.Interrupted:
		return nil, fmt.Errorf("the run of %s has ended (%s), and only an interrupted one can be resumed; perform the procedure anew",
			log.Name, run.Cause)
	case run.Start.Session == "":
		return nil, fmt.Errorf("the run of %s has no session that could go on, as with --plain; perform the procedure anew", log.Name)
	case procedure.SHA256 != recorded.SHA256 || !slices.Equal(stepsOf(procedure), recorded.Steps):
		return nil, fmt.Errorf("%s is not the procedure of %s: its sha256 is %.12s, and %.12s is recorded for %s; name the step file of that run",
			procedure.Name, log.Name, procedure.SHA256, recorded.SHA256, recorded.Name)
	}
	return &Interrupted{events: log.Events, run: run}, nil
}

// next returns the index of the step with which the run goes on, and its req if it had been sent.
func (i *Interrupted) next() (index int, req protocol.ReqID) {
	for _, step := range i.run.Steps {
		if step.Outcome == record.NotRun || step.Outcome == record.Unanswered {
			return step.Index, step.Req
		}
	}
	return len(i.run.Steps) + 1, protocol.ReqID{}
}

// settled returns when the outcome of a step was recorded, since the start of the run.
func (i *Interrupted) settled(index int) time.Duration {
	for _, e := range slices.Backward(i.events) {
		if e.Index == index && e.Kind.Settles() {
			return e.At
		}
	}
	return 0
}

// resume takes the session over from an interrupted run.
func (o *Options) resume() error {
	session := o.Resume.run.Start.Session
	if o.Plain || o.Session != "" && o.Session != session {
		return fmt.Errorf("a resumed run goes on in its session, which is %q; name no other", session)
	}
	o.Session = session
	return nil
}

// resume emits the events of the interrupted run and that it goes on, and waits what is left of the
// interval of its last step. It returns the index of the next step.
func (r *run) resume(earlier *Interrupted) (next int) {
	next, req := earlier.next()
	address := r.opts.Address
	if r.client != nil {
		address = r.client.Address() // the first that could be reached
	}
	r.log.resume(earlier, address, r.opts.addresses())
	if !req.IsZero() {
		r.resent, r.resentAs = next, req
	}
	if last := next - 1; last > 0 && last < len(earlier.run.Steps) {
		step := earlier.run.Steps[last-1]
		if !step.Kept.Declared || step.Kept.Duration < step.Interval {
			r.wait(last, r.procedure.Steps[last-1], r.log.began.Add(earlier.settled(last)))
		}
	}
	return next
}

// resume emits the events of an interrupted run, and then that it goes on. The times of the further
// events go on from the last of them, by the wall clock. Address is the agent's, and all are those that
// were given.
func (l *log) resume(earlier *Interrupted, address string, all []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	start, last := earlier.run.Start, earlier.run.Duration
	now := time.Now()
	resumed := record.Resumed{Time: now.Round(0), Addresses: all}
	resumed.Away = min(max(resumed.Time.Sub(start.Time.Add(last)), 0), maxAway)
	if address != start.Address {
		resumed.Address = address
	}
	l.began, l.address = now.Add(-last-resumed.Away), address
	connected := l.tls
	for _, e := range earlier.events {
		if e.Kind == record.KindTLS {
			l.tls = *e.TLS
		}
		l.put(e)
	}
	l.room = max(l.room-len(earlier.run.Strays), 0)
	l.dropping = l.dropped > 0 || earlier.run.Dropped > 0
	l.put(record.Event{Kind: record.KindResumed, At: time.Since(l.began), Resumed: &resumed})
	l.connecting = false
	if connected != (record.TLS{}) {
		l.setTLS(connected)
	}
}
