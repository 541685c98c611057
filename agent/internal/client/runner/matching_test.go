package runner_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// outcomes tells the outcomes of all steps in one line.
func outcomes(run record.Run) string {
	var names []string
	for _, step := range run.Steps {
		names = append(names, step.Outcome.String())
	}
	return strings.Join(names, " ")
}

// No misbehaviour of the agent makes a client report a pass that did not happen. Each row says how
// the agent misbehaves.
func TestFalsePasses(t *testing.T) {
	tests := []struct {
		name    string
		steps   stepfile.Procedure
		agent   []script
		want    record.Verdict
		details string
		lines   []string
	}{
		{"no steps", procedure(), nil, record.Undecided, "",
			[]string{"0s start", "0s end finished"}},
		{"an agent that closes at once", procedure(1, 2), []script{hangUp, hangUp, hangUp}, record.Fail, "lost lost",
			nil},
		{"an agent that closes instead of replying", procedure(1, 2), []script{each(hangUp), each(good)}, record.Fail, "lost passed",
			[]string{"0s start", "0s sent 1/1", "0s lost 1/1 took 0s", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "1s reply 2/2 took 0s code 0", "1s end finished"}},
		{"a reply with another step id", procedure(1, 2), []script{each(says(`{"step_id":2,"error_code":0,"req":$REQ}`, 0), good)},
			record.Fail, "wrong_reply passed",
			[]string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "1s reply 2/2 took 0s code 0", "1s end finished"}},
		{"a late reply, during the interval", procedure(1, 2, 3), []script{each(good, says(echoed, 5500*time.Millisecond), good)},
			record.Fail, "passed timed_out passed",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "6.5s late 2/2 took 5.5s code 0", "7s interval 2/2 kept 1s",
				"7s sent 3/3", "7s reply 3/3 took 0s code 0", "7s end finished"}},
		{"a late reply, during the next step", procedure(1, 2, 3), []script{each(good, says(echoed, 7*time.Second), silent)},
			record.Fail, "passed timed_out timed_out",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "7s interval 2/2 kept 1s",
				"7s sent 3/3", "8s late 2/2 took 7s code 0", "12s timeout 3/3 took 5s", "12s end finished"}},
		{"a late reply, after the last step", procedure(1, 2), []script{each(good, says(echoed, 6*time.Second))},
			record.Fail, "passed timed_out",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "6s end finished"}},
		{"a late reply to the same step id", procedure(1, 2, 2), []script{each(good, says(echoed, 7*time.Second), silent)},
			record.Fail, "passed timed_out timed_out",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "7s interval 2/2 kept 1s",
				"7s sent 3/2", "8s late 2/2 took 7s code 0", "12s timeout 3/2 took 5s", "12s end finished"}},
		{"a late reply to the same step id, without req", procedure(2, 2), []script{each(says(bare, 7*time.Second)), each(silent)},
			record.Fail, "timed_out timed_out",
			[]string{"0s start", "0s sent 1/2", "5s timeout 1/2 took 5s", "6s interval 1/2 kept 1s",
				"6s sent 2/2", "11s timeout 2/2 took 5s", "11s end finished"}},
		{"an agent that answers twice", procedure(1, 2), []script{each(says(echoed+echoed, 0), silent)},
			record.Fail, "passed timed_out",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "0s stray 1/1 duplicate", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "6s end finished"}},
		{"an agent that answers twice, the second time during the next step", procedure(2, 2),
			[]script{each(func(p *peer) { good(p); p.sendAfter(3*time.Second, echoed) }, silent)},
			record.Fail, "passed timed_out",
			[]string{"0s start", "0s sent 1/2", "0s reply 1/2 took 0s code 0", "1s interval 1/2 kept 1s",
				"1s sent 2/2", "3s stray 1/2 duplicate", "6s timeout 2/2 took 5s", "6s end finished"}},
		{"an agent that answers twice, without req, during the next step", procedure(2, 2),
			[]script{each(func(p *peer) { says(bare, 0)(p); p.sendAfter(3*time.Second, bare) }), each(silent)},
			record.Fail, "passed timed_out",
			[]string{"0s start", "0s sent 1/2", "0s reply 1/2 took 0s code 0", "1s interval 1/2 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "6s end finished"}},
		{"an agent that answers before it is asked", procedure(1, 2),
			[]script{each(func(p *peer) { says(bare, 0)(p); p.sendAfter(time.Second/2, `{"step_id":2,"error_code":0}`) }), each(silent)},
			record.Fail, "passed timed_out",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "500ms stray unsolicited", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "6s timeout 2/2 took 5s", "6s end finished"}},
		{"garbage", procedure(1, 2), []script{each(says("HTTP/1.1 400 Bad Request\r\n", 0)), each(good)},
			record.Fail, "wrong_reply passed",
			[]string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "1s reply 2/2 took 0s code 0", "1s end finished"}},
		{"garbage in the interval", procedure(1, 2),
			[]script{each(func(p *peer) { good(p); p.sendAfter(time.Second/2, "nonsense") }), each(good)},
			record.Pass, "passed passed",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "500ms stray garbage", "1s interval 1/1 kept 1s",
				"1s sent 2/2", "1s reply 2/2 took 0s code 0", "1s end finished"}},
		{"code 0 with no step id", procedure(1), []script{each(says(`{"step_id":null,"error_code":0,"req":$REQ}`, 0))},
			record.Fail, "wrong_reply", []string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "0s end finished"}},
		{"code 0 with no step id and no req", procedure(1), []script{each(says(`{"step_id":null,"error_code":0}`, 0))},
			record.Fail, "wrong_reply", []string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "0s end finished"}},
		{"a refusal with no step id", procedure(1), []script{each(says(`{"step_id":null,"error_code":1,"reason":"busy"}`, 0))},
			record.Fail, "failed", []string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 1", "0s end finished"}},
		{"a refusal of another session, with no step id", procedure(1), []script{each(says(`{"step_id":null,"error_code":1,"session":"x"}`, 0))},
			record.Fail, "wrong_reply", []string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "0s end finished"}},
		{"a refusal of another session, before it is asked", procedure(1),
			[]script{func(p *peer) { p.send(`{"step_id":null,"error_code":1,"session":"x"}`); p.next() }},
			record.Fail, "wrong_reply", []string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "0s end finished"}},
		{"another req", procedure(1), []script{each(says(`{"step_id":$ID,"error_code":0,"req":"x"}`, 0))},
			record.Fail, "timed_out",
			[]string{"0s start", "0s sent 1/1", "0s stray unsolicited", "5s timeout 1/1 took 5s", "5s end finished"}},
		{"another session", procedure(1), []script{each(says(`{"step_id":$ID,"error_code":0,"req":$REQ,"session":"x"}`, 0))},
			record.Fail, "wrong_reply", []string{"0s start", "0s sent 1/1", "0s wrong 1/1 took 0s", "0s end finished"}},
		{"no agent", procedure(1, 2), []script{nil}, record.Fail, "unreachable not_run",
			[]string{"0s start", "0s unreachable 1/1", "0s end lost"}},
		{"no agent any more", procedure(1, 2, 3), []script{each(hangUp), nil, each(good)}, record.Fail, "lost unreachable passed",
			[]string{"0s start", "0s sent 1/1", "0s lost 1/1 took 0s", "1s interval 1/1 kept 1s",
				"1s unreachable 2/2", "2s interval 2/2 kept 1s",
				"2s sent 3/3", "2s reply 3/3 took 0s code 0", "2s end finished"}},
		{"the same id twice, both judged", procedure(1, 1), []script{each(good)}, record.Pass, "passed passed",
			[]string{"0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "1s interval 1/1 kept 1s",
				"1s sent 2/1", "1s reply 2/1 took 0s code 0", "1s end finished"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				run, got := perform(t, tt.steps, runner.Options{}, tt.agent...)
				if tt.lines != nil {
					expect(t, got, tt.lines...)
				}
				if run.Verdict != tt.want || outcomes(run) != tt.details {
					t.Errorf("verdict %v, %s\n%s", run.Verdict, outcomes(run), got)
				}
				time.Sleep(time.Minute) // until the agent has said all
			})
		})
	}
}

// The session goes on over a new connection, and no req comes twice.
func TestSessionGoesOnAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sessions := map[string]int{}
		reqs := map[string]bool{}
		note := func(then func(*peer)) func(*peer) {
			return func(p *peer) {
				sessions[p.last.Session]++
				reqs[p.last.Req.String()] = true
				then(p)
			}
		}
		run, _ := perform(t, procedure(1, 2), runner.Options{}, each(note(hangUp)), each(note(good)))
		name := run.Start.Session
		if len(sessions) != 1 || sessions[name] != 2 || len(reqs) != 2 {
			t.Errorf("sessions %v, reqs %v", sessions, reqs)
		}
		if id, ok := strings.CutPrefix(name, "stepctl-"); !ok || len(id) != 32 {
			t.Errorf("session %q", name)
		}
		other, _ := perform(t, procedure(1), runner.Options{}, each(good))
		if other.Start.Session == name {
			t.Error("two runs have the same session")
		}
	})
}

// A plain client names nothing and opens a connection for each step.
func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := func(p *peer) {
			if p.next() {
				if p.last.Session != "" || !p.last.Req.IsZero() {
					t.Errorf("request %+v", p.last)
				}
				p.send(bare)
			}
			if p.next() {
				t.Error("a second request on one connection")
			}
		}
		run, _ := perform(t, procedure(1, 1), runner.Options{Plain: true}, one, one)
		if run.Verdict != record.Pass || run.Start.Session != "" {
			t.Errorf("%+v", run)
		}
	})
}

func TestReplyThatIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for limit, want := range map[int]string{0: "passed", 40: "wrong_reply"} {
			long := says(`{"step_id":$ID,"error_code":0,"detail":"0123456789"}`, 0)
			run, _ := perform(t, procedure(1), runner.Options{MaxReplyBytes: limit}, each(long))
			if outcomes(run) != want {
				t.Errorf("limit %d: %s, want %s", limit, outcomes(run), want)
			}
		}
	})
}

// What a step declares and carries goes out as it stands in the step file.
func TestRequestIsThatOfTheStepFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := procedure(-3)
		p.Steps[0].Data = []byte(`{"volts":4.7}`)
		opts := runner.Options{Session: "bench 7", ClientVersion: "1.0.0", AgentVersion: "1.1.0", Host: "laptop"}
		run, _ := perform(t, p, opts, each(func(p *peer) {
			got := fmt.Sprintf("%d %v %v %s %s", p.last.StepID, p.last.Timeout, p.last.Interval, p.last.Session, p.last.Data)
			if want := `-3 {5s true} {1s true} bench 7 {"volts":4.7}`; got != want {
				t.Errorf("request %s, want %s", got, want)
			}
			good(p)
		}))
		run.Start.Time, run.Start.Procedure = time.Time{}, record.Procedure{}
		want := fmt.Sprint(record.Start{Format: 1, Client: "1.0.0", Agent: "1.1.0", Host: "laptop",
			Address: "agent:8080", Session: "bench 7"})
		if fmt.Sprint(run.Start) != want {
			t.Errorf("start %v, want %v", run.Start, want)
		}
	})
}

func TestOptionsThatCannotBeUsed(t *testing.T) {
	tests := []struct {
		opts runner.Options
		want string
	}{
		{runner.Options{}, "a host and a port"},
		{runner.Options{Address: "agent"}, "a host and a port"},
		{runner.Options{Address: "agent:1", Session: strings.Repeat("x", 65)}, "1 to 64 printable ASCII"},
		{runner.Options{Address: "agent:1", Session: "a\tb"}, "1 to 64 printable ASCII"},
		{runner.Options{Address: "agent:1", Session: "é"}, "1 to 64 printable ASCII"},
		{runner.Options{Address: "agent:1", Session: "a", Plain: true}, "names no session"},
	}
	for _, tt := range tests {
		tt.opts.Emit = func(e record.Event) { t.Errorf("%+v was emitted", e) }
		_, err := runner.Run(t.Context(), procedure(1), tt.opts)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want %q in it", err, tt.want)
		}
	}
}
