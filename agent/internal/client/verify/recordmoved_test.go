package verify_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// moved is the run of sentAgain whose second step goes on at another agent.
func moved(t *testing.T, next netip.AddrPort) ([]capturetest.Packet, record.Log) {
	t.Helper()
	packets, log := sentAgainTo(t, next)
	log.Events[0].Start.Addresses = []string{agent.String(), next.String()}
	log.Events[9].Address = next.String()
	return packets, log
}

// The session of a run that went on at another agent is one session of both, and the capture agrees with the
// record and shows success.
func TestSessionOfSeveralAgents(t *testing.T) {
	for _, next := range []string{"192.0.2.3:8080", "192.0.2.2:8081"} {
		packets, log := moved(t, netip.MustParseAddrPort(next))
		opts := rules(t)
		opts.Session.Steps = 3
		opts.Record, opts.Claims = &log, []verify.Claim{verify.ClaimSuccess}
		r := judge(t, packets, opts)
		expect(t, r, result.Pass, "2 steps, of which 2 passed", "note: the client went on with this session at "+next)
		if r.Record.Verdict != result.Pass || len(r.Agents) != 2 || !strings.HasPrefix(r.Record.Events[9].Text, "sent again to "+next+" in packet ") {
			t.Errorf("the record is %s, of agents %v:\n%s", r.Record.Verdict, r.Agents, text(t, r))
		}
	}
}

// A record that names another agent than the one to which a step went is noticed.
func TestRecordOfAnotherAgent(t *testing.T) {
	packets, log := moved(t, netip.MustParseAddrPort("192.0.2.3:8081"))
	log.Events[9].Address = "192.0.2.3:8082"
	opts := rules(t)
	opts.Session.Steps, opts.Record = 3, &log
	if r := judge(t, packets, opts); r.Record.Verdict != result.Inconclusive || !strings.Contains(text(t, r), "the record's agent has port 8082, the capture's 8081") {
		t.Errorf("the record is %s:\n%s", r.Record.Verdict, text(t, r))
	}
}

// An agent that does not have the session refuses the step, and the capture shows that it had to.
func TestSessionThatTheNextAgentDoesNotHave(t *testing.T) {
	next := netip.MustParseAddrPort("192.0.2.3:8080")
	packets, log := moved(t, next)
	const passed, refused = `"req":2}`, `"req":2,"reason":"out_of_order","detail":"step 1 must come now, got 2"}`
	talk := capturetest.NewTalk(netip.AddrPortFrom(client.Addr(), 40001), next, began, 1, 1)
	talk.Open(3000 * ms)
	talk.Ask(3001*ms, `{"step_id":2,"timeout":5,"interval":0.2,"session":"s",`+passed)
	talk.Reply(3002*ms, `{"step_id":2,"error_code":1,"session":"s",`+refused)
	talk.Close(3010*ms, client)
	var all []capturetest.Packet
	for _, p := range packets {
		if p.From != next && p.To != next {
			all = append(all, p)
		}
	}
	reply := *log.Events[10].Reply
	reply.ErrorCode, reply.Reason, reply.Detail = 1, protocol.OutOfOrder, "step 1 must come now, got 2"
	log.Events[10].Reply = &reply
	log.Events[11].End.Counts = record.Counts{record.Passed: 1, record.Failed: 1}
	opts := rules(t)
	opts.Session.Steps, opts.Record = 3, &log
	if r := judge(t, append(all, talk.Packets()...), opts); r.Verdict == result.Fail || r.Record.Verdict != result.Pass || len(r.Sessions) != 2 {
		t.Errorf("it is %s, the record %s:\n%s", r.Verdict, r.Record.Verdict, text(t, r))
	}
}
