package verify_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// sentAgain is a run of two steps with a session: the agent is busy at the first step, and breaks the
// connection off at the second, which is sent again over a new one. It returns the packets and the record.
func sentAgain(t *testing.T) ([]capturetest.Packet, record.Log) {
	t.Helper()
	return sentAgainTo(t, agent)
}

// sentAgainTo is sentAgain where the second connection is to an agent.
func sentAgainTo(t *testing.T, next netip.AddrPort) ([]capturetest.Packet, record.Log) {
	t.Helper()
	request := func(id int) string {
		return fmt.Sprintf(`{"step_id":%d,"timeout":5,"interval":0.2,"session":"s","req":%[1]d}`, id)
	}
	passed := func(id int) string { return fmt.Sprintf(`{"step_id":%d,"error_code":0,"session":"s","req":%[1]d}`, id) }
	const busy = `{"step_id":1,"error_code":1,"session":"s","req":1,"reason":"busy"}`
	first := capturetest.NewTalk(client, agent, began, 1, 1)
	first.Open(0)
	first.Ask(ms, request(1))
	first.Reply(2*ms, busy)
	first.Ask(50*ms, request(1))
	first.Reply(51*ms, passed(1))
	first.Ask(252*ms, request(2))
	first.Reset(253*ms, agent)
	second := capturetest.NewTalk(netip.AddrPortFrom(client.Addr(), 40001), next, began, 1, 1)
	second.Open(3 * time.Second)
	second.Ask(3*time.Second+ms, request(2))
	second.Reply(3*time.Second+2*ms, passed(2))
	second.Close(3*time.Second+10*ms, client)

	const timeout, interval = 5 * time.Second, 200 * ms
	steps := []record.Step{{StepID: 1, Timeout: timeout, Interval: interval}, {StepID: 2, Timeout: timeout, Interval: interval}}
	event := func(kind record.Kind, at time.Duration, id int64) record.Event {
		e := record.Event{Kind: kind, At: at, Index: int(id), StepID: id}
		switch kind {
		case record.KindSent:
			e.Req, e.Timeout, e.Interval = protocol.NumReq(id), timeout, interval
		case record.KindReply:
			e.Reply = &protocol.Reply{StepID: &id, Session: "s", Req: protocol.NumReq(id)}
		case record.KindInterval:
			e.Interval, e.Kept = interval, interval+ms
		}
		return e
	}
	took := func(e record.Event, took time.Duration) record.Event { e.Took = took; return e }
	again := func(e record.Event, cause record.Retry) record.Event { e.Again = &record.Again{Cause: cause}; return e }
	refused := again(took(event(record.KindAgain, 2*ms, 1), ms), record.RetryBusy)
	refused.Reply = &protocol.Reply{StepID: &refused.StepID, ErrorCode: 1, Session: "s", Req: protocol.NumReq(1), Reason: protocol.Busy}
	log := record.Log{Name: "run.jsonl", Events: []record.Event{
		{Kind: record.KindStart, Start: &record.Start{Format: record.Format, Address: agent.String(), Session: "s", Time: began,
			Procedure: record.Procedure{Name: "steps.json", Steps: steps}}},
		event(record.KindSent, ms, 1), refused, event(record.KindResent, 50*ms, 1), took(event(record.KindReply, 51*ms, 1), 50*ms),
		event(record.KindInterval, 252*ms, 1),
		event(record.KindSent, 252*ms, 2), again(took(event(record.KindAgain, 253*ms, 2), ms), record.RetryLost),
		again(event(record.KindAgain, time.Second, 2), record.RetryUnreachable),
		event(record.KindResent, 3*time.Second+ms, 2), took(event(record.KindReply, 3*time.Second+2*ms, 2), 2750*ms),
		{Kind: record.KindEnd, At: 3*time.Second + 3*ms, End: &record.End{Cause: record.Finished, Counts: record.Counts{record.Passed: 2}}},
	}}
	return capturetest.Merge(first, second), log
}

// A step that was sent again is one step: the capture shows success, and agrees with the record and the
// procedure.
func TestStepsSentAgain(t *testing.T) {
	packets, log := sentAgain(t)
	opts := rules(t)
	opts.Session.Steps = 3
	opts.Record, opts.Claims = &log, []verify.Claim{verify.ClaimSuccess}
	opts.Procedure = procedure(t, `{"step_id":1,"timeout":5,"interval":0.2},{"step_id":2,"timeout":5,"interval":0.2}`)
	log.Events[0].Start.Procedure.SHA256 = opts.Procedure.SHA256
	r := judge(t, packets, opts)
	expect(t, r, result.Pass, "2 steps, of which 2 passed")
	if r.Record.Verdict != result.Pass || r.Sessions[0].Steps[0].AgainIn == 0 || r.Sessions[0].Steps[2].AgainIn == 0 {
		t.Errorf("the record is %s:\n%s", r.Record.Verdict, text(t, r))
	}
}

// Where the agent is away between two steps, the pause on the wire is longer than the interval, and the
// record says why.
func TestAwayBetweenSteps(t *testing.T) {
	packets, log := sentAgain(t)
	e := log.Events
	e[6], e[9] = e[7], e[6] // lost and unreachable first, and then sent
	e[6].Took, e[7], e[9].At = 0, e[8], 3*time.Second+ms
	e[8].At, e[10].Took = 2*time.Second, ms
	away := capturetest.NewTalk(client, agent, began, 1, 1)
	away.Open(0)
	const request = `{"step_id":1,"timeout":5,"interval":0.2,"session":"s","req":1}`
	away.Ask(ms, request)
	away.Reply(2*ms, `{"step_id":1,"error_code":1,"session":"s","req":1,"reason":"busy"}`)
	away.Ask(50*ms, request)
	away.Reply(51*ms, `{"step_id":1,"error_code":0,"session":"s","req":1}`)
	away.Reset(200*ms, agent)
	late := func(p capturetest.Packet) bool { return p.Time.Before(began.Add(time.Second)) }
	packets = append(away.Packets(), slices.DeleteFunc(packets, late)...)
	opts := rules(t)
	opts.Session.Steps, opts.Record = 3, &log
	expect(t, judge(t, packets, opts), result.Pass, "by the record, there was no connection for the next step at first")
	opts.Record = nil
	if r := judge(t, packets, opts); r.Verdict == result.Pass {
		t.Errorf("without the record it is %s:\n%s", r.Verdict, text(t, r))
	}
}

// A record that says something else of what was sent again is found out.
func TestTamperedTries(t *testing.T) {
	for name, change := range map[string]func(events []record.Event) []record.Event{
		"a resent request is left out": func(e []record.Event) []record.Event {
			e[10].Took = ms
			return slices.Delete(e, 7, 10)
		},
		"busy instead of lost": func(e []record.Event) []record.Event {
			e[7] = e[2]
			e[7].At, e[7].Index, e[7].StepID = 253*ms, 2, 2
			e[7].Reply = &protocol.Reply{StepID: &e[7].StepID, ErrorCode: 1, Reason: protocol.Busy}
			return e
		},
		"lost instead of busy": func(e []record.Event) []record.Event {
			e[2].Again, e[2].Reply = &record.Again{Cause: record.RetryLost}, nil
			return e
		},
		"sent again at another time": func(e []record.Event) []record.Event { e[9].At -= time.Second; return e },
		"a shorter time":             func(e []record.Event) []record.Event { e[10].Took = ms; return e },
	} {
		t.Run(name, func(t *testing.T) {
			packets, log := sentAgain(t)
			log.Events = change(log.Events)
			if _, err := log.Fold(); err != nil {
				t.Fatal(err)
			}
			opts := rules(t)
			opts.Record = &log
			if r := judge(t, packets, opts); r.Record.Verdict == result.Pass {
				t.Errorf("the record is taken:\n%s", text(t, r))
			}
		})
	}
}
