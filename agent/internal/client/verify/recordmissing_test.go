package verify_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/sequence"
)

// lateReply is a run of three steps of which one gets its reply at a time after its request, too late. Before
// that the client closes its connection, at a time after the request, if there is one.
func lateReply(late int, reply, closed time.Duration) ([]capturetest.Packet, record.Log) {
	const timeout, interval = 200 * ms, 300 * ms
	start := &record.Start{Format: record.Format, Address: agent.String(), Session: "s", Time: began,
		Procedure: record.Procedure{Name: "steps.json"}}
	log := record.Log{Name: "run.jsonl", Events: []record.Event{{Kind: record.KindStart, Start: start}}}
	var talks []*capturetest.Talk
	var talk *capturetest.Talk
	at := time.Duration(0)
	for id := 1; id <= 3; id++ {
		if talk == nil {
			talk = capturetest.NewTalk(netip.AddrPortFrom(client.Addr(), client.Port()+uint16(id)), agent, began, 1, 1)
			talks = append(talks, talk)
			talk.Open(at)
		}
		at += ms
		start.Procedure.Steps = append(start.Procedure.Steps, record.Step{StepID: int64(id), Timeout: timeout, Interval: interval})
		event := func(kind record.Kind, after time.Duration) *record.Event {
			log.Events = append(log.Events, record.Event{Kind: kind, At: at + after, Index: id, StepID: int64(id)})
			return &log.Events[len(log.Events)-1]
		}
		sent := event(record.KindSent, 0)
		sent.Req, sent.Timeout, sent.Interval = protocol.NumReq(int64(id)), timeout, interval
		talk.Ask(at, fmt.Sprintf(`{"step_id":%d,"timeout":0.2,"interval":0.3,"session":"s","req":%[1]d}`, id))
		done := ms
		if id == late {
			done = timeout
			event(record.KindTimeout, done).Took = done
			answer := fmt.Sprintf(`{"step_id":%d,"error_code":0,"session":"s","req":%[1]d}`, id)
			switch {
			case closed == 0 || closed > reply:
				talk.Reply(at+reply, answer)
			default: // the agent has not seen yet that the connection is closed
				talk.Send(at+closed, capturetest.Packet{From: talk.Client, FIN: true})
				talk.Send(at+reply, capturetest.Packet{From: talk.Agent, Payload: []byte(answer)})
				talk.Reset(at+reply+capturetest.Delay, talk.Client)
			}
		} else {
			came := event(record.KindReply, done)
			came.Took, came.Reply = done, &protocol.Reply{StepID: &sent.StepID, Session: "s", Req: sent.Req}
			talk.Reply(at+done, fmt.Sprintf(`{"step_id":%d,"error_code":0,"session":"s","req":%[1]d}`, id))
		}
		if id == late && closed > 0 {
			if closed > reply {
				talk.Close(at+closed, talk.Client)
			}
			talk = nil
		}
		if id < 3 {
			kept := event(record.KindInterval, done+interval)
			kept.Interval, kept.Kept = interval, interval
		}
		at += done + interval
	}
	talk.Close(at, talk.Client)
	log.Events = append(log.Events, record.Event{Kind: record.KindEnd, At: at,
		End: &record.End{Cause: record.Finished, Counts: record.Counts{record.Passed: 2, record.TimedOut: 1}}})
	return capturetest.Merge(talks...), log
}

// A client that has closed its connection at a timeout cannot record the reply that comes later. One that kept
// the connection must.
func TestUnrecordedLateReplies(t *testing.T) {
	for name, test := range map[string]struct {
		late          int
		reply, closed time.Duration
		found         bool
	}{
		"after the client has closed":         {1, 220 * ms, 200 * ms, false},
		"just before the client closes":       {1, 203 * ms, 210 * ms, false},
		"at a later step":                     {2, 220 * ms, 210 * ms, false},
		"as the client closes at a later one": {2, 220 * ms, 221 * ms, false},
		"before the client closes at a later": {2, 220 * ms, 250 * ms, true},
		"on a connection that is kept":        {2, 220 * ms, 0, true},
		"on the first, which is kept":         {1, 220 * ms, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			packets, log := lateReply(test.late, test.reply, test.closed)
			opts := rulesOf(t, sequence.New)
			opts.Session.Steps, opts.Record = 3, &log
			r := judge(t, packets, opts)
			if !test.found {
				expect(t, r, result.Pass, "timed out after 0.2 s: the reply came")
				return
			}
			expect(t, r, result.Fail, fmt.Sprintf("carries a late reply to step %d, and the record has none", test.late))
		})
	}
}

// A second reply that comes when the client has closed its connection is in no record.
func TestUnrecordedSecondReplies(t *testing.T) {
	for second, want := range map[time.Duration]result.Verdict{5 * ms: result.Fail, 21 * ms: result.Pass} {
		const answer = `{"step_id":1,"error_code":0}`
		talk := capturetest.NewTalk(client, agent, began, 1, 1)
		talk.Open(0)
		talk.Ask(ms, `{"step_id":1,"timeout":5,"interval":0}`)
		talk.Reply(2*ms, answer)
		const closed = 20 * ms
		if second < closed {
			talk.Reply(second, answer)
			talk.Close(closed, client)
		} else {
			talk.Send(closed, capturetest.Packet{From: client, FIN: true})
			talk.Send(second, capturetest.Packet{From: agent, Payload: []byte(answer)})
			talk.Reset(second+capturetest.Delay, client)
		}
		id := int64(1)
		log := record.Log{Name: "run.jsonl", Events: []record.Event{
			{Kind: record.KindStart, Start: &record.Start{Format: record.Format, Address: agent.String(), Time: began,
				Procedure: record.Procedure{Name: "steps.json", Steps: []record.Step{{StepID: 1, Timeout: 5 * time.Second}}}}},
			{Kind: record.KindSent, At: ms, Index: 1, StepID: 1, Timeout: 5 * time.Second},
			{Kind: record.KindReply, At: 2 * ms, Index: 1, StepID: 1, Took: ms, Reply: &protocol.Reply{StepID: &id}},
			{Kind: record.KindEnd, At: 3 * ms, End: &record.End{Cause: record.Finished, Counts: record.Counts{record.Passed: 1}}},
		}}
		opts := rulesOf(t, sequence.New)
		opts.Session.Steps, opts.Record = 1, &log
		if r := judge(t, talk.Packets(), opts); r.Record.Verdict != want {
			t.Errorf("with a second reply at %s the record is %s, want %s:\n%s", second, r.Record.Verdict, want, text(t, r))
		}
	}
}
