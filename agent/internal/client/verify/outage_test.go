package verify_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/plugins/sequence"
)

// restarted is a session of some steps whose client waits for as long after each, and opens a connection for
// each. The agent ends those before if it is restarted, else the client.
func restarted(steps int, waits time.Duration, restarts bool) []capturetest.Packet {
	var talks []*capturetest.Talk
	at := time.Duration(0)
	for id := 1; id <= steps; id++ {
		talk := capturetest.NewTalk(netip.AddrPortFrom(client.Addr(), client.Port()+uint16(id)), agent, began, 1, 1)
		talks = append(talks, talk)
		talk.Open(at)
		talk.Ask(at+ms, fmt.Sprintf(`{"step_id":%d,"timeout":5,"interval":0.5,"session":"s","req":%[1]d}`, id))
		talk.Reply(at+2*ms, fmt.Sprintf(`{"step_id":%d,"error_code":0,"session":"s","req":%[1]d,"end":%t}`, id, id == steps))
		end := talk.Client
		if restarts {
			end = agent
		}
		talk.Close(at+100*ms, end)
		at += 2*ms + waits
	}
	return capturetest.Merge(talks...)
}

// Where the agent was away, the client cannot go on in time: an interval that seems too long fails only if no
// connection that was refused can be missing, or every interval is too long though the agent was there.
func TestIntervalOverAnOutage(t *testing.T) {
	for name, test := range map[string]struct {
		steps    int
		waits    time.Duration
		restarts bool
		want     result.Verdict
		said     string
	}{
		"in time":                  {4, 500 * ms, true, result.Pass, "every interval was kept: 3 of 3"},
		"once, restarted":          {2, 900 * ms, true, result.Inconclusive, "unless the client could not connect at first, which the record tells"},
		"each time, restarted":     {4, 900 * ms, true, result.Inconclusive, "unless the client could not connect at first, which the record tells"},
		"once, by the client":      {2, 900 * ms, false, result.Inconclusive, "unless the client could not connect at first, which the record tells"},
		"each time, by the client": {4, 900 * ms, false, result.Fail, "fail: the interval of 0.5 s was overrun: the client waited 900 ms"},
		"cut short":                {2, 300 * ms, true, result.Fail, "fail: the interval of 0.5 s was cut short: the client waited 300 ms"},
	} {
		t.Run(name, func(t *testing.T) {
			opts := rulesOf(t, sequence.New)
			opts.Session.Steps = test.steps
			expect(t, judge(t, restarted(test.steps, test.waits, test.restarts), opts), test.want, test.said)
		})
	}
}
