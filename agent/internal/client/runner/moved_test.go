package runner_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
)

// among makes a dialer of those of several addresses.
func among(dials map[string]func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		dial := dials[address]
		if dial == nil {
			return nil, errors.New("refused")
		}
		return dial(ctx, network, address)
	}
}

// sentElsewhere tells the events that have an address.
func sentElsewhere(trace string) string {
	return strings.Join(slices.DeleteFunc(kindsOf(trace), func(line string) bool { return !strings.Contains(line, " to ") }), ", ")
}

// A run goes on at the next address when an agent is lost, stops or is not there. The record says where each
// request went that did not go where the one before went.
func TestRunMoves(t *testing.T) {
	stopping := says(`{"step_id":$ID,"error_code":1,"req":$REQ,"reason":"shutting_down"}`, 0)
	type dials = map[string]func(context.Context, string, string) (net.Conn, error)
	tests := []struct {
		name     string
		dials    dials
		retryFor time.Duration
		want     string // outcomes
		told     string // addresses in the record
		moves    []record.Move
	}{
		{"the first answers", dials{"agent:8080": dialer(each(good))}, 0, "passed passed passed", "", nil},
		{"the first is not there", dials{"b:1": dialer(each(good))}, 0, "passed passed passed", "sent 1/1 to b:1", []record.Move{{Index: 1, Address: "b:1"}}},
		{"lost in the second step", dials{"agent:8080": dialer(each(good, hangUp)), "b:1": dialer(each(good))}, 0, "passed passed passed",
			"resent 2/2 to b:1", []record.Move{{Index: 2, Address: "b:1"}}},
		{"lost before the second step", dials{"agent:8080": dialer(once), "c:1": dialer(each(good))}, 0, "passed passed passed",
			"again 2/2 to b:1 unreachable, sent 2/2 to c:1", []record.Move{{Index: 2, Address: "c:1"}}},
		{"stops, and so does the next", dials{"agent:8080": dialer(each(good, stopping)), "b:1": dialer(each(good, stopping)), "c:1": dialer(each(good))}, 0,
			"passed passed passed", "resent 2/2 to b:1, resent 3/3 to c:1", []record.Move{{Index: 2, Address: "b:1"}, {Index: 3, Address: "c:1"}}},
		{"back to the first", dials{"agent:8080": dialer(each(good, hangUp), each(good)), "b:1": dialer(each(good, hangUp))}, 0,
			"passed passed passed", "resent 2/2 to b:1, again 3/3 to c:1 unreachable, resent 3/3 to agent:8080", []record.Move{{Index: 2, Address: "b:1"}, {Index: 3, Address: "agent:8080"}}},
		{"not to be tried again", dials{"b:1": dialer(once, each(good)), "c:1": dialer(each(good))}, -1, "passed passed passed", "sent 1/1 to b:1",
			[]record.Move{{Index: 1, Address: "b:1"}}},
		{"nowhere", dials{}, 0, "unreachable not_run not_run", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts := runner.Options{Fallbacks: []string{"b:1", "c:1"}, Dial: among(tt.dials), RetryFor: tt.retryFor}
				if tt.retryFor == 0 {
					opts.RetryFor = time.Minute
				}
				run, got := perform(t, procedure(1, 2, 3), opts)
				if outcomes(run) != tt.want || sentElsewhere(got) != tt.told || !slices.Equal(run.Moves(), tt.moves) {
					t.Errorf("%s, %s, moves %v, in\n%s", outcomes(run), sentElsewhere(got), run.Moves(), got)
				}
				if !slices.Equal(run.Start.Addresses, []string{"agent:8080", "b:1", "c:1"}) {
					t.Errorf("the start has %q", run.Start.Addresses)
				}
			})
		})
	}
}

// A run that is resumed goes on with the agent that it used last, and else with the next that is there.
func TestResumeAmongSeveralAgents(t *testing.T) {
	p := procedure(1, 2, 3)
	begun := map[string]func(context.Context, string, string) (net.Conn, error){"agent:8080": dialer(each(good, hangUp)), "b:1": dialer(each(good))}
	synctest.Test(t, func(t *testing.T) {
		var whole []record.Event
		opts := runner.Options{Address: "agent:8080", Fallbacks: []string{"b:1", "c:1"}, Dial: among(begun),
			Emit: func(e record.Event) { whole = append(whole, e) }}
		if _, err := runner.Run(t.Context(), p, opts); err != nil {
			t.Fatal(err)
		}
		killed := whole[:slices.IndexFunc(whole, func(e record.Event) bool { return e.Kind == record.KindInterval && e.Index == 2 })]
		earlier, err := record.Fold(killed)
		if err != nil || !slices.Equal(earlier.Addresses(), []string{"b:1", "c:1", "agent:8080"}) {
			t.Fatalf("%q, error %v", earlier.Addresses(), err)
		}
		for at, want := range map[string]string{"b:1": "", "c:1": "c:1"} {
			addresses := earlier.Addresses()
			run, got := perform(t, p, runner.Options{Address: addresses[0], Fallbacks: addresses[1:], Resume: resume(t, p, killed),
				Dial: among(map[string]func(context.Context, string, string) (net.Conn, error){at: dialer(each(good))})})
			moves := run.Moves()
			last := moves[len(moves)-1]
			if run.Verdict != record.Pass || run.Address != at || run.Resumptions[0].Address != at || want != "" && last != (record.Move{Index: 3, Address: want}) {
				t.Errorf("at %s: %v, %+v, moves %v\n%s", at, run.Verdict, run.Resumptions, moves, got)
			}
			if !slices.Equal(run.Addresses()[:1], []string{at}) || len(run.Addresses()) != 3 {
				t.Errorf("goes on with %q", run.Addresses())
			}
		}
	})
}
