package session_test

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

// TestUnnamedSessionsHaveNamesOfTheirOwn: a port is in use again while the session of the
// connection that had it is still open, and the log tells the two apart.
func TestUnnamedSessionsHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "advance", options)
		seen := map[string]bool{}
		for range 3 {
			c := a.Connect(session.Peer{Addr: netip.MustParseAddrPort(here + ":40000")})
			seen[do(c, named("", 1)).Trace.Session] = true
			c.Close()
		}
		if len(seen) != 3 {
			t.Errorf("three sessions are called %v", seen)
		}
		time.Sleep(options.ResumeWindow)
		synctest.Wait()
		a.check()
		a.expire()
	})
}

// TestOneLineForEachSession holds what the log says, to the letter.
func TestOneLineForEachSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 3
		a := newAgent(t, "advance", o)
		c := a.connect(here)
		began := time.Now()
		send := func(name string, id int64, o order) {
			req := named(name, id)
			req.Data = o.data()
			do(c, req)
			time.Sleep(500 * time.Millisecond)
		}
		for id := range int64(3) {
			send("passes", id+1, order{})
		}
		for _, id := range []int64{1, 100, 3} {
			send("fails", id, order{})
		}
		send("unsure", 1, order{})
		send("unsure", 2, order{Undecided: true})
		a.judge.Swap(chain(t, "advance", 2, something))
		send("unsure", 2, order{})
		send("unsure", 3, order{})
		send("delayed", 1, order{Delay: time.Second})
		send("delayed", 2, order{})
		send("delayed", 3, order{})
		send("", 1, order{})
		send("", 2, order{})
		c.Close()
		time.Sleep(options.ResumeWindow)
		synctest.Wait()

		var got []string
		for _, line := range a.log.ends() {
			if line.level != slog.LevelInfo {
				t.Errorf("level %v: %s", line.level, line.text)
			}
			got = append(got, fmt.Sprint(line.at.Sub(began), " ", line.text))
		}
		want := []string{
			"1s session ended session=passes client=192.0.2.1:40001 verdict=pass steps=3 of=3 passed=3 failed=0 undecided=0 duration=1s validators=1",
			"2.5s session ended session=fails client=192.0.2.1:40001 verdict=fail steps=3 of=3 passed=2 failed=1 undecided=0 duration=1s validators=1",
			"4.5s session ended session=unsure client=192.0.2.1:40001 verdict=pass steps=3 of=3 passed=3 failed=0 undecided=1 duration=1.5s validators=1,2",
			"6s session ended session=delayed client=192.0.2.1:40001 verdict=pass steps=3 of=3 passed=3 failed=0 undecided=0 duration=1s validators=2 faults=true",
			"20.5s session ended session=192.0.2.1:40001#1 client=192.0.2.1:40001 verdict=incomplete steps=2 of=3 passed=2 failed=0 undecided=0 duration=14s validators=2 cause=the client did not come back",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
		a.check()
		a.expire()
	})
}

// TestEndLinesAreLimited: short sessions in plenty are counted, and not all told.
func TestEndLinesAreLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 1
		a := newAgent(t, "advance", o)
		c := a.connect(here)
		for range 1200 {
			do(c, step(1))
		}
		if got := len(a.log.ends()); got != 500 {
			t.Errorf("%d lines in one second, want 500", got)
		}
		time.Sleep(time.Second)
		do(c, step(1))
		ends := a.log.ends()
		if last := ends[len(ends)-1].text; len(ends) != 501 || !strings.HasSuffix(last, " suppressed=700") {
			t.Errorf("%d lines, the last is %s", len(ends), last)
		}
		if got := a.Stats().Completed; got != 1201 {
			t.Errorf("%d sessions are counted, want all", got)
		}
		c.Close()
	})
}

func TestStepsAreLoggedByTheirOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, "advance", options)
		c := a.connect(here)
		defer c.Close()
		do(c, named("a", 1))
		do(c, named("a", 7))
		unsure := named("a", 3)
		unsure.Data = order{Undecided: true}.data()
		do(c, unsure)
		fault := named("a", 3)
		fault.Data = order{Delay: time.Second}.data()
		do(c, fault)

		var got []string
		for _, line := range a.log.kept {
			got = append(got, fmt.Sprint(line.level, " ", line.text))
		}
		want := []string{
			`DEBUG step passed session=a step_id=1 position=1 client=192.0.2.1:40001`,
			`WARN step failed session=a step_id=7 position=2 client=192.0.2.1:40001 reason=out_of_order validator=sequence detail=step 2 must come now, got 7`,
			`ERROR step undecided session=a step_id=3 position=3 client=192.0.2.1:40001 reason=validator_unavailable validator=obedient detail=validator obedient gave no verdict: told to be undecided`,
			`DEBUG step passed session=a step_id=3 position=3 client=192.0.2.1:40001 fault=delay`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	})
}
