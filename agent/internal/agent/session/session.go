package session

import (
	"context"
	"log/slog"
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

// A session is the agent's view of one run.
type session struct {
	id          string // of a named slot: always the same
	client      client // that began it
	steps       int
	began       time.Time
	position    int
	memory      judge.Memory
	expects     judge.Expectation
	replied     time.Time      // when the last step was answered; began before the first
	interval    time.Duration  // declared with the last step
	last        protocol.ReqID // of the last step
	latest      time.Duration  // from began to the arrival of the last step
	gap         gapClock       // since the last step
	tally       tally
	recent      uint64   // a bit for each of the last steps, set for one that failed, the latest lowest
	generations []uint64 // of the chains that judged it
	faulted     bool
	open        bool
	restored    time.Time // when the agent was back with it; zero for one that has begun since
}

type tally struct{ passed, failed, undecided int }

// state returns what the judge needs of the session.
func (s *session) state() judge.Session {
	return judge.Session{ID: s.id, Position: s.position, Steps: s.steps, Memory: s.memory}
}

// step returns what the judge needs of the request.
func (s *session) step(req *protocol.Request, arrived time.Time) judge.Step {
	step := judge.Step{Arrived: arrived, Step: validator.Step{
		ID:       req.StepID,
		Timeout:  validator.Wait(req.Timeout),
		Interval: validator.Wait(req.Interval),
		At:       max(arrived.Sub(s.began), 0),
		Data:     req.Data,
	}}
	if s.position > 0 {
		step.Gap = s.gap.stop(arrived)
	}
	return step
}

// after returns the session as it will be once a judgement counts, to store it before. s is not changed.
func (s *session) after(j *judge.Judgement, req *protocol.Request, arrived, judged time.Time) session {
	next := *s
	next.generations = slices.Clip(next.generations)
	next.add(j, req, arrived, judged)
	return next
}

// add adds a judgement that counts.
func (s *session) add(j *judge.Judgement, req *protocol.Request, arrived, judged time.Time) {
	s.position++
	s.memory, s.expects = j.Memory, j.Expects
	s.replied, s.interval = judged, min(req.Interval.Duration, MaxQuiet)
	s.last, s.latest = req.Req, max(arrived.Sub(s.began), 0)
	s.gap = startGap(req, arrived, judged, j.Fault)
	s.recent <<= 1
	if j.Outcome == validator.Pass {
		s.tally.passed++
	} else {
		s.tally.failed++
		s.recent |= 1
	}
	s.faulted = s.faulted || j.Fault != nil
	if !slices.Contains(s.generations, j.Generation) {
		s.generations = append(s.generations, j.Generation)
	}
}

// due is when the client's next step is expected; for a session that has ended, when it did.
func (s *session) due() time.Time { return s.replied.Add(s.interval) }

// verdict sums up the session; cause is why it ended before its last step, empty if it did not.
func (s *session) verdict(cause string) string {
	switch {
	case cause != "":
		return "incomplete"
	case s.tally.failed > 0:
		return "fail"
	default:
		return "pass"
	}
}

// recordEnd records the end of the session.
func (s *session) recordEnd(to Recorder, now time.Time, cause string) {
	e := s.event(auditlog.KindSession, now)
	e.Session.Verdict, e.Session.Cause = s.verdict(cause), cause
	to.Record(e)
}

// event returns what the record says of the session as it is, without a verdict.
func (s *session) event(kind auditlog.Kind, now time.Time) auditlog.Event {
	return auditlog.Event{Kind: kind, Time: now, Session: &auditlog.Session{
		Session: s.id, Client: s.client.String(), Identity: s.client.identity(),
		Steps: s.position, Of: s.steps, Passed: s.tally.passed, Failed: s.tally.failed, Undecided: s.tally.undecided,
		Duration: jsonl.Seconds(max(now.Sub(s.began), 0)),
	}}
}

// maxEndAttrs is the most that a line about the end of a session has.
const maxEndAttrs = 13

// logEnd writes the line of the log about the session.
func (s *session) logEnd(limiter *logging.Limiter, log *slog.Logger, now time.Time, cause string) {
	attrs := s.client.appendAttrs(append(make([]slog.Attr, 0, maxEndAttrs), slog.String("session", s.id)))
	attrs = append(attrs,
		slog.String("verdict", s.verdict(cause)), slog.Int("steps", s.position), slog.Int("of", s.steps),
		slog.Int("passed", s.tally.passed), slog.Int("failed", s.tally.failed),
		slog.Int("undecided", s.tally.undecided),
		slog.Duration("duration", now.Sub(s.began).Round(time.Millisecond)),
		slog.String("validators", joinGenerations(s.generations)))
	if cause != "" {
		attrs = append(attrs, slog.String("cause", cause))
	}
	if s.faulted {
		attrs = append(attrs, slog.Bool("faults", true))
	}
	limiter.Log(context.Background(), log, slog.LevelInfo, "session ended", attrs...)
}

// joinGenerations returns the numbers with commas between them, such as "3,4".
func joinGenerations(generations []uint64) string {
	words := make([]string, len(generations))
	for i, g := range generations {
		words[i] = strconv.FormatUint(g, 10)
	}
	return strings.Join(words, ",")
}
