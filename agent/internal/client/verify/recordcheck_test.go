package verify_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// story returns the record that the client of a scene would have written, whose clock is
// ahead of the capture's by skew.
func (s *scene) story(t testing.TB, skew time.Duration) record.Log {
	t.Helper()
	start := &record.Start{Format: record.Format, Client: "1.0.0", Host: "laptop", Address: agent.String(), Session: s.session,
		Time: began.Add(skew), Procedure: record.Procedure{Name: "steps.json", SHA256: strings.Repeat("0", 64)}}
	for _, a := range s.acts {
		start.Procedure.Steps = append(start.Procedure.Steps, record.Step{StepID: a.id, Timeout: a.timeout, Interval: a.interval})
	}
	events := []record.Event{{Kind: record.KindStart, Start: start}}
	counts := record.Counts{}
	for i, a := range s.acts {
		events = append(events, s.told(i, a)...)
		if i+1 < len(s.acts) {
			kept := a.interval
			if a.kept > 0 {
				kept = a.kept
			}
			events = append(events, record.Event{Kind: record.KindInterval, At: s.sentAt[i+1] - 100*time.Microsecond, Index: i + 1, StepID: a.id,
				Interval: a.interval, Kept: kept})
		}
		counts[outcome(a)]++
	}
	last := events[len(events)-1].At
	events = append(events, record.Event{Kind: record.KindEnd, At: last + ms, End: &record.End{Cause: record.Finished, Counts: counts}})
	log := record.Log{Name: "run.jsonl", Events: inOrder(events)}
	if _, err := log.Fold(); err != nil {
		t.Fatal(err)
	}
	return log
}

func outcome(a act) record.Outcome {
	switch {
	case a.silent, a.after >= a.timeout:
		return record.TimedOut
	case a.reset:
		return record.ConnectionLost
	case a.reason != "":
		return record.Failed
	default:
		return record.Passed
	}
}

// told returns the events of one act but for the interval.
func (s *scene) told(i int, a act) []record.Event {
	var req protocol.ReqID
	if s.session != "" {
		req = protocol.NumReq(int64(i + 1))
	}
	at, after := s.sentAt[i]-100*time.Microsecond, a.after
	if after == 0 {
		after = 500 * time.Microsecond
	}
	took := after + 150*time.Microsecond
	event := func(kind record.Kind, took time.Duration) record.Event {
		return record.Event{Kind: kind, At: at + took, Index: i + 1, StepID: a.id, Took: took}
	}
	sent := record.Event{Kind: record.KindSent, At: at, Index: i + 1, StepID: a.id, Req: req, Timeout: a.timeout, Interval: a.interval}
	reply := protocol.Reply{StepID: &a.id, Req: req, Session: s.session, Reason: a.reason, End: i%10 == 9}
	if a.reason != "" {
		reply.ErrorCode, reply.Detail = 1, "told to say so"
	}
	switch {
	case a.silent:
		return []record.Event{sent, event(record.KindTimeout, a.timeout)}
	case a.after >= a.timeout:
		late := event(record.KindLate, took)
		late.Reply = &reply
		return []record.Event{sent, event(record.KindTimeout, a.timeout), late}
	case a.reset:
		lost := event(record.KindLost, took)
		lost.Detail = "the connection was lost"
		return []record.Event{sent, lost}
	default:
		came := event(record.KindReply, took)
		came.Reply = &reply
		return []record.Event{sent, came}
	}
}

// inOrder puts events in the order of their times: a late reply comes in the middle of a step.
func inOrder(events []record.Event) []record.Event {
	for i := range events {
		for j := i; j > 1 && events[j].At < events[j-1].At; j-- {
			events[j], events[j-1] = events[j-1], events[j]
		}
	}
	return events
}

// TestRecords: the record of a run agrees with its packets, event by event, whatever the
// client's clock shows.
func TestRecords(t *testing.T) {
	for name, acts := range map[string][]act{"success": success(), "failure": failure(), "trouble": trouble(), "twice": twice()} {
		for _, session := range []string{"bench-7", ""} {
			for _, skew := range []time.Duration{0, time.Second, -time.Second, 3 * time.Hour} {
				t.Run(fmt.Sprintf("%s/%q/%s", name, session, skew), func(t *testing.T) {
					if session == "" && name == "trouble" {
						acts = success()
					}
					s := scene{session: session, plain: session == "", acts: acts}
					packets := s.perform()
					log := s.story(t, skew)
					opts := rules(t)
					opts.Record = &log
					r := judge(t, packets, opts)
					want := result.Pass
					if skew > time.Minute && session == "" {
						want = result.Inconclusive // nothing but the time says whose record it is
					}
					if r.Record.Verdict != want || len(r.Record.Events) != len(log.Events) {
						t.Errorf("the record is %s, want %s:\n%s", r.Record.Verdict, want, text(t, r))
					}
				})
			}
		}
	}
}

// TestRecordTampering: a record that tells something else is found out, in each of its events.
func TestRecordTampering(t *testing.T) {
	opts := rules(t)
	rapid.Check(t, func(r *rapid.T) {
		s := scene{session: "bench-7", acts: rapid.SampledFrom([]func() []act{success, failure, trouble}).Draw(r, "acts")()}
		packets := s.perform()
		log := s.story(t, 0)
		i := rapid.IntRange(1, len(log.Events)-2).Draw(r, "event")
		e := &log.Events[i]
		switch e.Kind {
		case record.KindReply, record.KindLate:
			if rapid.Bool().Draw(r, "another reply") {
				other := *e.Reply
				other.Detail += "; or not"
				e.Reply = &other
			} else {
				e.Took += 300 * ms
			}
		case record.KindInterval:
			e.Kept += 300 * ms
		case record.KindSent:
			e.Req = protocol.TextReq("another")
			for j := range log.Events { // a record that is consistent in itself
				if other := &log.Events[j]; other.Index == e.Index && other.Reply != nil {
					reply := *other.Reply
					reply.Req = e.Req
					other.Reply = &reply
				}
			}
		case record.KindTimeout, record.KindLost:
			return // the next test
		default:
			r.Fatalf("event %d is a %s", i+1, e.Kind)
		}
		if _, err := log.Fold(); err != nil {
			return // a record that contradicts itself is refused before
		}
		with := opts
		with.Record = &log
		if got := judge(t, packets, with); got.Record.Verdict != result.Fail || got.Verdict != result.Fail {
			r.Fatalf("a changed %s is a %s:\n%s", e.Kind, got.Record.Verdict, text(t, got))
		}
	})
}

// TestRecordOfAnotherRun: what the record says, and what the packets show, differ in what
// became of a step.
func TestRecordOfAnotherRun(t *testing.T) {
	for name, change := range map[string]struct {
		acts func(s *scene)
		want string
	}{
		"a timeout that was none":      {func(s *scene) { s.acts[3].silent = true }, "timeout of step 4: fail: the record says timeout, the capture shows: step 4 passed"},
		"a loss that was none":         {func(s *scene) { s.acts[3].reset = true }, "lost of step 4: fail: the record says that the connection was lost, the capture shows: step 4 passed"},
		"another step":                 {func(s *scene) { s.acts[3].id = 44 }, "sent of step 44: fail: step 4 was sent instead"},
		"another timeout":              {func(s *scene) { s.acts[3].timeout = 7 * time.Second }, "sent of step 4: fail: it was sent with a timeout of 5 s, the record says 7 s"},
		"another interval":             {func(s *scene) { s.acts[3].interval = 510 * ms }, "sent of step 4: fail: it was sent with an interval of 0.5 s, the record says 0.51 s"},
		"a step that was not recorded": {func(s *scene) { s.acts = s.acts[:9] }, "sends step 10, and the record does not"},
		"a step that was not sent":     {func(s *scene) { s.acts = append(s.acts, act{id: 11, timeout: 5 * time.Second}) }, "sent of step 11: "},
	} {
		t.Run(name, func(t *testing.T) {
			real := scene{session: "bench-7", acts: success()}
			packets := real.perform()
			told := scene{session: "bench-7", acts: success()}
			change.acts(&told)
			told.perform()
			for i := range told.sentAt { // it lies about what, not about when
				if i < len(real.sentAt) && !told.acts[3].silent {
					told.sentAt[i] = real.sentAt[i]
				}
			}
			log := told.story(t, 0)
			opts := rules(t)
			opts.Record = &log
			r := judge(t, packets, opts)
			if r.Verdict == result.Pass || !strings.Contains(text(t, r), change.want) {
				t.Errorf("%s, not said: %s\n%s", r.Verdict, change.want, text(t, r))
			}
		})
	}
}

// TestRecordThatStops: the record of a client that was killed has no end, and what it says is
// compared all the same.
func TestRecordThatStops(t *testing.T) {
	s := scene{session: "bench-7", acts: success()}
	packets := s.perform()
	log := s.story(t, 0)
	log.Events, log.Cut = log.Events[:len(log.Events)-1], true
	opts := rules(t)
	opts.Record = &log
	expect(t, judge(t, packets, opts), result.Pass, "note: the record has no end: the client was killed, or is still running")
}

// TestGivenIntervals: what the requests do not declare is taken from the procedure.
func TestGivenIntervals(t *testing.T) {
	talk := capturetest.NewTalk(client, agent, began, 1, 1)
	talk.Open(0)
	talk.Ask(ms, `{"step_id":1,"timeout":5}`)
	talk.Reply(2*ms, `{"step_id":1,"error_code":0}`)
	talk.Ask(1002*ms, `{"step_id":2,"timeout":5}`)
	talk.Reply(1003*ms, `{"step_id":2,"error_code":0}`)
	talk.Close(2*time.Second, client)
	for interval, want := range map[string]result.Verdict{"1": result.Pass, "0.5": result.Fail} {
		opts := rules(t)
		opts.Procedure = procedure(t, fmt.Sprintf(`{"step_id":1,"timeout":5,"interval":%s},{"step_id":2,"timeout":5,"interval":1}`, interval))
		r := judge(t, talk.Packets(), opts)
		expect(t, r, want)
		if step := r.Sessions[0].Steps[0]; !step.IntervalGiven || step.Gap == nil || *step.Gap != 1 {
			t.Errorf("%+v", step)
		}
	}
}

// TestAlwaysTheSame: a report of one capture is the same each time.
func TestAlwaysTheSame(t *testing.T) {
	s := scene{plain: true, acts: failure()}
	file := capturetest.File{}.Write(s.perform())
	first := text(t, judgeFile(t, file, rules(t)))
	for range 5 {
		if again := text(t, judgeFile(t, bytes.Clone(file), rules(t))); again != first {
			t.Fatalf("first\n%s\nthen\n%s", first, again)
		}
	}
}
