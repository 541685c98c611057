package verify_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/protocol"
)

// expect checks a verdict, and that the text has some sentences.
func expect(t *testing.T, r *result.Report, verdict result.Verdict, sentences ...string) {
	t.Helper()
	got := text(t, r)
	if r.Verdict != verdict {
		t.Errorf("the verdict is %s, want %s", r.Verdict, verdict)
	}
	for _, s := range sentences {
		if !strings.Contains(got, s) {
			t.Errorf("not said: %s", s)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}

// TestProcedures: captures that show what happened are a pass, whatever became of the run.
func TestProcedures(t *testing.T) {
	for _, how := range []scene{{session: "bench-7"}, {}, {plain: true}} {
		how.acts = success()
		expect(t, judge(t, how.perform(), rules(t)), result.Pass,
			"10 steps, of which 10 passed", "no timeout happened: every reply came within 0.5 ms", "every interval was kept: 9 of 9")

		how.at, how.talks, how.acts = 0, nil, failure()
		expect(t, judge(t, how.perform(), rules(t)), result.Pass,
			"step 100 was refused as out of order after 0.5 ms; no timeout happened",
			"step 9 was refused for its declared timeout after 0.9 ms; no timeout happened",
			"10 steps, of which 7 passed; steps 100, 9 and 10 were refused")
	}
	s := scene{session: "bench-7", acts: trouble()}
	expect(t, judge(t, s.perform(), rules(t)), result.Pass,
		"step 4 timed out: no reply came within 5 s, nor until the connection closed after",
		"step 6 timed out after 5 s: the reply came 5.8 s after the request, too late",
		"step 8 got no reply: the agent reset the connection after 0.5 ms",
		"step 6 was answered too late; step 4 was not answered in time; step 8 was cut off")
}

// TestNoTimeoutInTheTimeoutCase: a capture that is said to show a timeout, and holds none: each
// reply comes within a millisecond, the failing steps are merely refused, and every interval
// was waited twice.
func TestNoTimeoutInTheTimeoutCase(t *testing.T) {
	for _, plain := range []bool{false, true} {
		s := scene{plain: plain, acts: twice()}
		opts := rules(t)
		opts.Claims = verify.NameClaims("/evidence/timeout.pcapng")
		expect(t, judge(t, s.perform(), opts), result.Fail,
			"fail: the capture is said to show a timeout, and no timeout happened",
			"step 9 was refused for its declared timeout after 0.9 ms; no timeout happened",
			"no timeout happened: every reply came within 0.9 ms",
			"every interval was waited twice: 9 of 9",
			"fail: the interval of 0.5 s was waited twice: 1.001 s")
	}
}

// TestOldAgents: agents older than protocol 1 give codes of their own and no reasons.
func TestOldAgents(t *testing.T) {
	talk := capturetest.NewTalk(client, agent, began, 1, 1)
	talk.Open(0)
	talk.Ask(ms, `{"step_id":1,"timeout":5,"interval":0.5}`)
	talk.Reply(2*ms, `{"step_id":1,"error_code":0}`)
	talk.Ask(502*ms, `{"step_id":9,"timeout":2,"interval":0.5}`)
	talk.Reply(503*ms, `{"step_id":9,"error_code":2}`)
	talk.Close(600*ms, client)
	opts := rules(t)
	opts.Procedure = procedure(t, `{"step_id":1,"timeout":5,"interval":0.5},{"step_id":9,"timeout":2,"interval":0.5}`)
	expect(t, judge(t, talk.Packets(), opts), result.Pass,
		"step 9 was refused as out of order after 1 ms", "note: the agent sent code 2 and no reason",
		"note: the client left the session after 2 steps of 10")
	expect(t, judge(t, talk.Packets(), rules(t)), result.Inconclusive,
		"inconclusive: the capture shows 2 steps of 10, and not whether the client sent more")
}

// TestManyClients: clients at the same time, of one address, are kept apart.
func TestManyClients(t *testing.T) {
	var talks []*capturetest.Talk
	for n := range 20 {
		s := scene{plain: true, acts: failure(), at: time.Duration(n) * 17 * ms,
			client: netip.AddrPortFrom(client.Addr(), uint16(20000+n*100))}
		s.perform()
		talks = append(talks, s.talks...)
	}
	r := judge(t, capturetest.Merge(talks...), rules(t))
	expect(t, r, result.Pass, "20 sessions with 200 steps, of which 140 passed")
	for _, s := range r.Sessions {
		if len(s.Steps) != 10 || !s.Complete {
			t.Errorf("session %s has %d steps", s.ID, len(s.Steps))
		}
	}
}

// TestRepeatedRequests: a request that is sent again with its req is one step.
func TestRepeatedRequests(t *testing.T) {
	first := capturetest.NewTalk(client, agent, began, 1, 1)
	first.Open(0)
	first.Ask(ms, `{"step_id":1,"timeout":5,"session":"s","req":1}`)
	first.Reset(2*ms, client)
	second := capturetest.NewTalk(netip.AddrPortFrom(client.Addr(), 40001), agent, began, 1, 1)
	second.Open(10 * ms)
	second.Ask(11*ms, `{"step_id":1,"timeout":5,"session":"s","req":1}`)
	second.Reply(12*ms, `{"step_id":1,"error_code":0,"session":"s","req":1}`)
	second.Ask(13*ms, `{"step_id":2,"timeout":5,"session":"s","req":2}`)
	second.Reply(14*ms, `{"step_id":2,"error_code":0,"session":"s","req":2}`)
	second.Close(20*ms, client)
	r := judge(t, capturetest.Merge(first, second), rules(t))
	if len(r.Sessions) != 1 || len(r.Sessions[0].Steps) != 3 || r.Sessions[0].Steps[1].RepeatOf != 4 || r.Sessions[0].Steps[2].Position != 2 {
		t.Errorf("sessions: %s", text(t, r))
	}
	expect(t, r, result.Fail, "the client closed the connection 1 ms after the request, and had declared to wait 5 s")
}

// TestUndecidedSteps: a step that the agent could not judge takes no position.
func TestUndecidedSteps(t *testing.T) {
	talk := capturetest.NewTalk(client, agent, began, 1, 1)
	talk.Open(0)
	talk.Ask(ms, `{"step_id":1,"timeout":5}`)
	talk.Reply(2*ms, `{"step_id":1,"error_code":1,"reason":"validator_unavailable","detail":"it hangs"}`)
	talk.Ask(10*ms, `{"step_id":1,"timeout":5}`)
	talk.Reply(11*ms, `{"step_id":1,"error_code":0}`)
	talk.Ask(20*ms, `{"step_id":2,"timeout":5}`)
	talk.Reply(21*ms, `{"step_id":2,"error_code":0}`)
	talk.Close(30*ms, client)
	opts := rules(t)
	opts.Session.Steps = 2
	r := judge(t, talk.Packets(), opts)
	expect(t, r, result.Pass, "step 1 was not judged: the agent said validator_unavailable after 1 ms")
	if got := r.Sessions[0].Steps[2].Position; got != 2 {
		t.Errorf("step 2 is at position %d", got)
	}
}

// TestUnjudgedWithoutReply: whether a step without a reply was judged, the replies after it
// tell.
func TestUnjudgedWithoutReply(t *testing.T) {
	for _, judged := range []bool{true, false} {
		talk := capturetest.NewTalk(client, agent, began, 1, 1)
		talk.Open(0)
		talk.Ask(ms, `{"step_id":1,"timeout":5}`)
		talk.Reply(2*ms, `{"step_id":1,"error_code":0}`)
		talk.Ask(10*ms, `{"step_id":2,"timeout":6}`)
		next := `2`
		if judged {
			next = `3`
		}
		talk.Ask(7*time.Second, `{"step_id":`+next+`,"timeout":5}`)
		talk.Reply(7*time.Second+ms, `{"step_id":`+next+`,"error_code":0}`)
		talk.Close(8*time.Second, client)
		opts := rules(t)
		opts.Session.Steps = 2
		if judged {
			opts.Session.Steps = 3
		}
		r := judge(t, talk.Packets(), opts)
		expect(t, r, result.Pass, "step 2 timed out: no reply came within 6 s")
		if said := strings.Contains(text(t, r), "show that the agent did not judge it"); said == judged {
			t.Errorf("judged %t: %s", judged, text(t, r))
		}
	}
}

// TestBadMessages: what is no request is answered as such.
func TestBadMessages(t *testing.T) {
	talk := capturetest.NewTalk(client, agent, began, 1, 1)
	talk.Open(0)
	talk.Ask(ms, `{"step_id":"one"}`)
	talk.Reply(2*ms, `{"step_id":null,"error_code":1,"reason":"bad_request","detail":"step_id must be an integer"}`)
	talk.Ask(10*ms, "GET / HTTP/1.1\r\n\r\n")
	talk.Reply(11*ms, `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"no"}`)
	talk.Close(12*ms, agent)
	opts := rules(t)
	opts.Port = 8080
	r := judge(t, talk.Packets(), opts)
	expect(t, r, result.Pass, "a message without a step id was refused as a bad request")
	if len(r.Outside) != 2 {
		t.Errorf("outside: %s", text(t, r))
	}
}

// TestNoAgent: a capture without an agent is no pass.
func TestNoAgent(t *testing.T) {
	expect(t, judge(t, nil, rules(t)), result.Inconclusive, "no request to an agent is in the capture")
	talk := capturetest.NewTalk(client, agent, began, 1, 1)
	talk.Open(0)
	talk.Ask(ms, "SSH-2.0-x\r\n")
	talk.Reply(2*ms, "SSH-2.0-y\r\n")
	talk.Close(3*ms, client)
	expect(t, judge(t, talk.Packets(), rules(t)), result.Inconclusive, "no request to an agent is in the capture", ", 1 others")
}

// TestStartsMidSession: captures that begin or end in the middle are inconclusive.
func TestStartsMidSession(t *testing.T) {
	for _, plain := range []bool{false, true} {
		s := scene{plain: plain, acts: success()}
		packets := s.perform()
		later := slices.DeleteFunc(slices.Clone(packets), func(p capturetest.Packet) bool { return p.Time.Before(began.Add(1200 * ms)) })
		expect(t, judge(t, later, rules(t)), result.Inconclusive, "the session began before the capture")
	}
	s := scene{acts: trouble()}
	early := slices.DeleteFunc(s.perform(), func(p capturetest.Packet) bool { return p.Time.After(began.Add(4 * time.Second)) })
	expect(t, judge(t, early, rules(t)), result.Inconclusive, "before a reply or the end of its timeout of 5 s",
		"the capture ends before the session does: after 4 steps of 10")
}

// TestErrorCodes: a refusal with another number than the rules have is one that these rules do not
// explain.
func TestErrorCodes(t *testing.T) {
	s := scene{session: "x", acts: failure()}
	packets := s.perform()
	opts := rules(t)
	opts.Session.Codes = protocol.Codes{protocol.OutOfOrder: 2}
	expect(t, judge(t, packets, opts), result.Fail, "the code of out_of_order is 1, these rules have 2")
}

// TestDrops: what the writer of a capture lost makes it inconclusive.
func TestDrops(t *testing.T) {
	s := scene{acts: success()}
	r := judgeFile(t, capturetest.File{Dropped: 3}.Write(s.perform()), rules(t))
	expect(t, r, result.Inconclusive, "the capturing program lost 3 packets by its own count")
}

// TestNameClaims: what a file's name says.
func TestNameClaims(t *testing.T) {
	for name, want := range map[string][]verify.Claim{
		"a/success.pcapng": {verify.ClaimSuccess}, "Timeout-2026.pcap.gz": {verify.ClaimTimeout}, "no_timeout.pcap": nil,
		"timeout_too_short.pcap": nil, "run.pcap": nil, "failure/run.pcap": nil, "failure+timeout.pcap": {verify.ClaimFailure, verify.ClaimTimeout},
	} {
		if got := verify.NameClaims(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// TestEarlyEnd: an agent that ends its sessions elsewhere has other rules.
func TestEarlyEnd(t *testing.T) {
	opts := rules(t)
	opts.Session.Steps = 12
	s := scene{session: "bench-7", acts: success()}
	expect(t, judge(t, s.perform(), opts), result.Fail, "fail: the agent ended the session at position 10 of 12; give the agent's config with --config")
}

// TestIntervals: how much an interval may be off, and what is said when it is more.
func TestIntervals(t *testing.T) {
	for kept, said := range map[time.Duration]string{
		491 * ms: "", 500 * ms: "", 599 * ms: "",
		480 * ms:  "fail: the interval of 0.5 s was cut short: the client waited 480.3 ms",
		700 * ms:  "fail: the interval of 0.5 s was overrun: the client waited 700.3 ms",
		1000 * ms: "fail: the interval of 0.5 s was waited twice: 1 s",
	} {
		s := scene{session: "bench-7", acts: success()}
		s.acts[4].kept = kept
		r := judge(t, s.perform(), rules(t))
		if said == "" {
			expect(t, r, result.Pass)
		} else {
			expect(t, r, result.Fail, said)
		}
	}
}
