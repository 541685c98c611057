package verify

import (
	"net/netip"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/replay"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// evidence is the capture as sessions of steps, which the checks read.
type evidence struct {
	opts    Options
	capture *capture.Capture
	report  *result.Report
	conns   []*match.Conn
	// secured are the connections over TLS, also of others than agents; overTLS has them by TCP.
	secured []*secured
	overTLS map[*capture.Conn]bool
	// recordedRun is what the record says; nil without one.
	recordedRun *record.Run

	sessions []*session
	outside  []*step // of no session
	chains   []*chain
	// shared are the agents that share the sessions of the recorded run; none if it had one alone.
	shared []netip.AddrPort
	// lossy says that the capture may lack packets anywhere, sealed that it has a connection with an
	// agent that cannot be read, exhausted that the replay did not try all that might explain a
	// reply.
	lossy, sealed, exhausted bool
	// incomplete are the hosts with a connection that lacks packets.
	incomplete map[hostPair]bool
}

// A hostPair is an agent and a host of its clients.
type hostPair struct {
	agent netip.AddrPort
	host  netip.Addr
}

// An agentKey is the id of a session at an agent, or the slot of several.
type agentKey struct {
	agent netip.AddrPort
	id    string
}

// A chain is the sessions of one client in order: those of a name, or of a connection.
type chain struct {
	sessions []*session
	// steps are those of the sessions, without repeated requests.
	steps []*step
}

// group makes sessions of the replayed steps, in the order in which they were sent, and finds the
// outcome of each step.
func (e *evidence) group(replayed *replay.Result) {
	e.exhausted = replayed.Exhausted
	e.incomplete = map[hostPair]bool{}
	for _, c := range e.conns {
		if !c.Complete() {
			e.incomplete[hostPair{e.home(c.Agent), c.Client.Addr()}] = true
		}
	}
	slices.SortStableFunc(replayed.Steps, func(a, b *replay.Step) int { return a.Sent().Compare(b.Sent()) })
	steps := make([]*step, len(replayed.Steps))
	known := map[agentKey]*session{}
	for i, x := range replayed.Steps {
		steps[i] = newStep(x)
		if x.Session == "" {
			e.outside = append(e.outside, steps[i])
			e.report.Outside = append(e.report.Outside, steps[i].Step)
			continue
		}
		k := agentKey{e.home(x.Conn.Agent), x.Session}
		s := known[k]
		if s == nil || s.Complete && !x.Replayed {
			s = newSession(x)
			known[k] = s
			e.sessions = append(e.sessions, s)
			e.report.Sessions = append(e.report.Sessions, s.Session)
		}
		s.add(steps[i])
	}
	e.findMissing()
	e.chain()
	for _, s := range steps {
		s.findOutcome()
		s.Timeout, s.Interval = secondsOf(s.timeout), secondsOf(s.interval)
	}
	for _, s := range e.sessions {
		s.markAgain()
		s.noteAgents()
	}
}

// chain links the sessions of each client, and gives their steps what the procedure has and the
// requests do not declare.
func (e *evidence) chain() {
	known := map[agentKey]*chain{}
	for _, s := range e.sessions {
		s.markRepeats()
		k := agentKey{e.home(s.Agent), s.slot}
		c := known[k]
		if c == nil {
			c = &chain{}
			known[k] = c
			e.chains = append(e.chains, c)
		}
		c.sessions, s.chain = append(c.sessions, s), c
		for _, step := range s.steps {
			if step.RepeatOf == 0 {
				c.steps = append(c.steps, step)
			}
		}
	}
	if p := e.opts.Procedure; p != nil {
		for _, c := range e.chains {
			for i, s := range c.steps {
				s.complete(p.Steps[i%len(p.Steps)])
			}
		}
	}
}

// mayLackSteps reports whether packets of a session may be missing: in the connections of its
// client, or in the capture as a whole.
func (e *evidence) mayLackSteps(s *session) bool {
	return e.lossy || e.incomplete[hostPair{e.home(s.Agent), s.Client.Addr()}]
}

// ended reports whether the procedure, the record or a comment says that the last step of a session
// in the capture was the last that its client sent.
func (e *evidence) ended(s *session) bool {
	if s.chain.sessions[len(s.chain.sessions)-1] != s {
		return false
	}
	steps := 0
	for _, step := range s.chain.steps {
		if step.Outcome != result.Unjudged {
			steps++
		}
	}
	if p := e.opts.Procedure; p != nil && steps%len(p.Steps) == 0 {
		return true
	}
	isOf := func(session string) bool {
		return session != "" && session == auditlog.SessionName(s.ID) || session == "" && len(e.sessions) == 1
	}
	if r := e.recordedRun; r != nil && !r.Cut() && isOf(r.Start.Session) && steps >= len(r.Steps)-r.Counts[record.NotRun]-r.Counts[record.Unreachable] {
		return true
	}
	return slices.ContainsFunc(e.capture.Comments, func(comment string) bool {
		run, ok := parseComment(comment)
		return ok && isOf(run.session)
	})
}

// conclude sums up the verdicts and writes the summaries.
func (e *evidence) conclude() {
	r := e.report
	var all []*result.Step
	for _, s := range r.Sessions {
		s.Summary = result.Summarize(s.Steps)
		r.Verdict = r.Verdict.And(s.Verdict)
		all = append(all, s.Steps...)
	}
	for _, s := range r.Outside {
		r.Verdict = r.Verdict.And(s.Verdict)
	}
	if len(all)+len(r.Outside) == 0 && !e.sealed {
		r.Findings.Add(result.Inconclusive, "nothing", 0, "no request to an agent is in the capture; if there should be one, name the agent's port with --port")
	}
	if r.Record != nil {
		r.Verdict = r.Verdict.And(r.Record.Verdict)
	}
	r.Verdict = r.Verdict.And(r.Findings.Verdict())
	switch {
	case len(all) == 0 && e.sealed:
		r.Summary = []string{"no step in the capture can be read"}
		return
	case len(all) == 0:
		r.Summary = []string{"there is no step in the capture"}
		return
	}
	r.Summary = result.Summarize(all)
	if n := len(r.Sessions); n > 1 {
		r.Summary[0] = phrase.Count(n, "session") + " with " + r.Summary[0]
	}
}
