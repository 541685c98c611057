package runner_test

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
)

// awayUntil makes a dialer for which no agent listens from the first connection to a time.
func awayUntil(to time.Duration, scripts ...script) func(context.Context, string, string) (net.Conn, error) {
	began, dial := time.Now(), dialer(scripts...)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if now := time.Since(began); now > 0 && now < to {
			return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
		}
		return dial(ctx, network, address)
	}
}

// kindsOf tells the events without their times, and repetitions of one once.
func kindsOf(trace string) []string {
	times := regexp.MustCompile(`(?m)^\S+ | (took|kept) \S+`)
	return slices.Compact(strings.Split(strings.TrimSpace(times.ReplaceAllString(trace, "")), "\n"))
}

// A run goes on through a loss, an absence and a refusal of the agent, and says so.
func TestRunGoesOn(t *testing.T) {
	busy := says(`{"step_id":$ID,"error_code":1,"req":$REQ,"reason":"busy"}`, 0)
	stopping := func(p *peer) {
		p.send(`{"step_id":$ID,"error_code":1,"req":$REQ,"reason":"shutting_down"}`)
		hangUp(p)
	}
	tests := []struct {
		name     string
		to       time.Duration // until which the agent is away; the second step is sent after 1 s
		agent    []script
		retryFor time.Duration
		want     string // outcome of the second step
		// reconnects and away are those of the run.
		reconnects  int
		least, most time.Duration
		kinds       []string // of the second step
	}{
		{"lost in a step", 0, []script{each(good, hangUp), each(good)}, 0, "passed", 1, 25 * time.Millisecond, 50 * time.Millisecond,
			[]string{"sent 2/2", "again 2/2 lost", "resent 2/2", "reply 2/2 code 0"}},
		{"away in a step", 4 * time.Second, []script{each(good, hangUp), each(good)}, 0, "passed", 1, 3 * time.Second, 4 * time.Second,
			[]string{"sent 2/2", "again 2/2 lost", "again 2/2 unreachable", "resent 2/2", "reply 2/2 code 0"}},
		{"stops in a step", 3 * time.Second, []script{each(good, stopping), each(good)}, 0, "passed", 1, 2 * time.Second, 3 * time.Second,
			[]string{"sent 2/2", "again 2/2 shutting_down", "again 2/2 unreachable", "resent 2/2", "reply 2/2 code 0"}},
		{"lost between two steps", 0, []script{once, each(good)}, 0, "passed", 1, 0, 0,
			[]string{"again 2/2 lost", "sent 2/2", "reply 2/2 code 0"}},
		{"away between two steps", 4 * time.Second, []script{once, each(good)}, 0, "passed", 1, 4 * time.Second, 5 * time.Second,
			[]string{"again 2/2 lost", "again 2/2 unreachable", "sent 2/2", "reply 2/2 code 0"}},
		{"busy", 0, []script{each(good, busy, busy, good)}, 0, "passed", 0, 75 * time.Millisecond, 150 * time.Millisecond,
			[]string{"sent 2/2", "again 2/2 busy", "resent 2/2", "again 2/2 busy", "resent 2/2", "reply 2/2 code 0"}},
		{"away for good", time.Hour, []script{each(good, hangUp)}, 0, "timed_out", 0, 5 * time.Second, 5 * time.Second,
			[]string{"sent 2/2", "again 2/2 lost", "again 2/2 unreachable", "timeout 2/2"}},
		{"stops for good", time.Hour, []script{each(good, stopping)}, 0, "failed", 0, 4 * time.Second, 5 * time.Second,
			[]string{"sent 2/2", "again 2/2 shutting_down", "again 2/2 unreachable", "reply 2/2 code 1"}},
		{"never there again", time.Hour, []script{once}, 0, "unreachable", 0, 4 * time.Second, 6 * time.Second,
			[]string{"again 2/2 lost", "again 2/2 unreachable", "unreachable 2/2"}},
		{"given up", time.Hour, []script{each(good, hangUp)}, 2 * time.Second, "lost", 0, time.Second, 2 * time.Second,
			[]string{"sent 2/2", "again 2/2 lost", "again 2/2 unreachable", "lost 2/2"}},
		{"not to be tried again", 0, []script{each(good, hangUp), each(good)}, -1, "lost", 0, 0, 0,
			[]string{"sent 2/2", "lost 2/2"}},
		{"silent", 0, []script{each(good, silent), each(good)}, 0, "timed_out", 0, 0, 0, []string{"sent 2/2", "timeout 2/2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := runner.Options{Dial: awayUntil(tt.to, tt.agent...), RetryFor: tt.retryFor}
				if tt.retryFor == 0 {
					opts.RetryFor = time.Minute
				}
				run, got := perform(t, procedure(1, 2), opts)
				if want := "passed " + tt.want; outcomes(run) != want || (run.Verdict == record.Pass) != (tt.want == "passed") {
					t.Errorf("verdict %v, %s, want %s", run.Verdict, outcomes(run), want)
				}
				if run.Reconnects != tt.reconnects || run.Away < tt.least || run.Away > tt.most {
					t.Errorf("%d connections made anew, away for %v", run.Reconnects, run.Away)
				}
				kinds := kindsOf(got)
				second := kinds[slices.Index(kinds, "interval 1/1")+1 : len(kinds)-1]
				if !slices.Equal(second, tt.kinds) {
					t.Errorf("events %q, want %q, in\n%s", second, tt.kinds, got)
				}
			})
		})
	}
}

// once answers one request and closes the connection.
func once(p *peer) {
	if p.next() {
		p.send(echoed)
	}
}
