// Package session keeps the agent's view of each run: which step belongs to which session,
// how many of its steps have been judged, and what was answered.
//
// A seat is where sessions of one client happen one after another: a session name, or a
// connection that names none. One step at a time is judged in a seat; its result is stored
// before anybody can see the reply, so that a step is judged once or not at all. Nothing
// here is on disk: a restart of the agent forgets open sessions.
package session

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A Judge judges one step of a session. *judge.Judge is one.
type Judge interface {
	Judge(ctx context.Context, session judge.Session, step judge.Step) judge.Judgement
	// Try is Judge where nothing has to be waited for; false where it has.
	Try(session judge.Session, step judge.Step) (judge.Judgement, bool)
	// First is the step that must begin a session. It is asked for often.
	First() judge.Expectation
}

// Options are the rules of sessions. They can be changed while sessions are open.
type Options struct {
	// Steps is the number of steps after which a session ends. A session keeps the number
	// with which it began.
	Steps int
	// IdleTimeout closes a session that had no step for so long; the interval that the
	// client declared does not count. The replies of a name are kept for as long after its
	// session has ended.
	IdleTimeout time.Duration
	// ResumeWindow is how long a session stays open when its connection has closed, counted
	// from the end of the declared interval if that is later.
	ResumeWindow time.Duration
	// LongestInterval bounds, from the close on, how long a declared interval puts that off.
	LongestInterval time.Duration
	// TakeoverWait is how long the first step of a nameless connection waits at most where
	// it is not sure which session it belongs to: until an earlier connection is seen to be
	// closed, or other clients of the address have taken up theirs.
	TakeoverWait time.Duration
	// RememberedReplies is how many replies are kept for each session name, to answer a
	// repeated req.
	RememberedReplies int
	// RememberedBytes is what the replies of all names may take. Past it those of the names
	// that rest longest are forgotten, and then the oldest of the name at hand.
	RememberedBytes int
	// MaxOpen is how many sessions may be open, MaxOpenPerAddress how many of them one address
	// may have begun.
	MaxOpen           int
	MaxOpenPerAddress int
	// Codes are the error codes of reasons.
	Codes protocol.Codes
	// Recorder takes note of the end of each session; nil for none.
	Recorder Recorder
}

// MaxQuiet bounds the declared interval during which a session and its connection are not
// idle, so that no client can hold either for ever.
const MaxQuiet = 24 * time.Hour

// A Recorder takes note of what happens. It must not wait.
type Recorder interface{ Record(auditlog.Event) }

// A session is the agent's view of one run. It is guarded by its seat's turn.
type session struct {
	id          string
	client      netip.AddrPort // that began it
	steps       int
	began       time.Time
	position    int
	memory      judge.Memory
	expects     judge.Expectation
	replied     time.Time      // when the last step was answered; began before the first
	interval    time.Duration  // declared with the last step
	last        protocol.ReqID // of the last step
	lull        lull           // since the last step
	tally       tally
	faulted     bool
	generations []uint64
}

type tally struct{ passed, failed, undecided int }

func begin(id string, client netip.AddrPort, steps int, first judge.Expectation, now time.Time) session {
	return session{id: id, client: client, steps: steps, began: now, replied: now, expects: first}
}

// state returns what the judge is to know of the session.
func (s *session) state() judge.Session {
	return judge.Session{ID: s.id, Position: s.position, Steps: s.steps, Memory: s.memory}
}

// step returns what the judge is to know of the request.
func (s *session) step(req *protocol.Request, arrived time.Time) judge.Step {
	step := judge.Step{Arrived: arrived, Step: validator.Step{
		ID:       req.StepID,
		Timeout:  validator.Wait(req.Timeout),
		Interval: validator.Wait(req.Interval),
		At:       max(arrived.Sub(s.began), 0),
		Data:     req.Data,
	}}
	if s.position > 0 {
		step.Gap = s.lull.gap(arrived)
	}
	return step
}

// commit stores a judgement that counts. Before it the step has not happened; after it the
// step has been judged, whether or not the reply arrives.
func (s *session) commit(j *judge.Judgement, req *protocol.Request, arrived, now time.Time) {
	s.position++
	s.memory, s.expects = j.Memory, j.Expects
	s.replied, s.interval = now, min(req.Interval.Duration, MaxQuiet)
	s.last, s.lull = req.Req, after(req, arrived, now, j.Fault)
	if j.Outcome == validator.Pass {
		s.tally.passed++
	} else {
		s.tally.failed++
	}
	s.faulted = s.faulted || j.Fault != nil
	if !slices.Contains(s.generations, j.Generation) {
		s.generations = append(s.generations, j.Generation)
	}
}

// repeat takes note that the reply to a request is given once more: a client that asks again
// for the last one is done with that step only now.
func (s *session) repeat(req protocol.ReqID, now time.Time) {
	if s.last == req {
		s.lull = lull{from: now}
	}
}

func (s *session) over() bool { return s.position >= s.steps }

// due is when the client's next step is to be expected.
func (s *session) due() time.Time { return s.replied.Add(s.interval) }

// verdict is the word for how the session went; incomplete is why it ended too soon.
func (s *session) verdict(incomplete string) string {
	switch {
	case incomplete != "":
		return "incomplete"
	case s.tally.failed > 0:
		return "fail"
	default:
		return "pass"
	}
}

// recordEnd takes note of the end.
func (s *session) recordEnd(to Recorder, now time.Time, incomplete string) {
	to.Record(auditlog.Event{Kind: auditlog.KindSession, Time: now, Session: &auditlog.Session{
		Session: s.id, Client: s.client.String(), Verdict: s.verdict(incomplete), Cause: incomplete,
		Steps: s.position, Of: s.steps, Passed: s.tally.passed, Failed: s.tally.failed, Undecided: s.tally.undecided,
		Duration: jsonl.Seconds(max(now.Sub(s.began), 0)),
	}})
}

// logEnd writes the one line that a session gets.
func (s *session) logEnd(limiter *logging.Limiter, log *slog.Logger, now time.Time, incomplete string) {
	verdict := s.verdict(incomplete)
	attrs := []slog.Attr{
		slog.String("session", s.id), slog.String("client", s.client.String()), slog.String("verdict", verdict),
		slog.Int("steps", s.position), slog.Int("of", s.steps),
		slog.Int("passed", s.tally.passed), slog.Int("failed", s.tally.failed),
		slog.Int("undecided", s.tally.undecided),
		slog.Duration("duration", now.Sub(s.began).Round(time.Millisecond)),
		slog.String("validators", generations(s.generations)),
	}
	if incomplete != "" {
		attrs = append(attrs, slog.String("cause", incomplete))
	}
	if s.faulted {
		attrs = append(attrs, slog.Bool("faults", true))
	}
	limiter.Log(context.Background(), log, slog.LevelInfo, "session ended", attrs...)
}

// generations writes the numbers of the chains that judged, such as "3" or "3,4".
func generations(gs []uint64) string {
	words := make([]string, len(gs))
	for i, g := range gs {
		words[i] = strconv.FormatUint(g, 10)
	}
	return strings.Join(words, ",")
}
