package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// secured is a connection over TLS.
func secured(version, client, keylog string) Event {
	return Event{Kind: KindTLS, TLS: &TLS{Version: version, ClientSubject: client, KeyLog: keylog,
		Server: Certificate{Subject: "CN=bench-7", Issuer: "CN=Bench CA", Serial: "3A:F0", NotAfter: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}}}
}

// How connections were secured is told once each, in order, and no more than some of it. It does not
// change the verdict.
func TestFoldTellsHowConnectionsWereSecured(t *testing.T) {
	one, two := secured("1.3", "", ""), secured("1.2", "", "")
	run, err := Fold(timed(start(1, 2), one, sent(1), replied(1, 0), waited(1, time.Second), two, one, sent(2), replied(2, 0),
		end(Finished, Counts{Passed: 2})))
	if diff := cmp.Diff([]TLS{*one.TLS, *two.TLS}, run.TLS); err != nil || diff != "" || run.Verdict != Pass {
		t.Errorf("error %v, %v, %s", err, run.Verdict, diff)
	}
	events := []Event{start(1)}
	for n := range 2 * maxSecured {
		events = append(events, secured(strings.Repeat("1", n+1), "", ""))
	}
	if run, err := Fold(timed(events...)); err != nil || len(run.TLS) != maxSecured {
		t.Errorf("%d of them, error %v", len(run.TLS), err)
	}
	if _, err := Fold(timed(start(1), Event{Kind: KindTLS})); err == nil {
		t.Error("a connection of which nothing is said is taken")
	}
}

// A refused connection ends the run, before the step was sent or after.
func TestFoldOfARefusedRun(t *testing.T) {
	passed := []Event{start(1, 2), sent(1), replied(1, 0), waited(1, time.Second)}
	for name, test := range map[string]struct {
		events []Event
		want   Counts
	}{
		"at the first step":       {[]Event{start(1, 2), unreachable(1)}, Counts{Unreachable: 1, NotRun: 1}},
		"after it was sent":       {[]Event{start(1, 2), sent(1), unreachable(1)}, Counts{Unreachable: 1, NotRun: 1}},
		"in mid-run":              {append(passed[:4:4], unreachable(2)), Counts{Passed: 1, Unreachable: 1}},
		"in mid-run, after it":    {append(passed[:4:4], sent(2), unreachable(2)), Counts{Passed: 1, Unreachable: 1}},
		"with a message before":   {[]Event{start(1, 2), sent(1), unreachable(1), stray(StrayGarbage, 0)}, Counts{Unreachable: 1, NotRun: 1}},
		"with a secured one, too": {[]Event{start(1, 2), secured("1.3", "", ""), sent(1), unreachable(1)}, Counts{Unreachable: 1, NotRun: 1}},
	} {
		run, err := Fold(timed(append(test.events, end(Refused, test.want))...))
		if err != nil || !run.Refused() || run.Unreached() || run.Verdict != Fail {
			t.Errorf("%s: %v, refused %t, error %v", name, run.Verdict, run.Refused(), err)
		}
	}
	for name, events := range map[string][]Event{
		"before any step":    {start(1), end(Refused, Counts{NotRun: 1})},
		"after a reply":      append(passed[:3:3], end(Refused, Counts{Passed: 1, NotRun: 1})),
		"after a timeout":    {start(1), sent(1), failed(KindTimeout, 1), end(Refused, Counts{TimedOut: 1})},
		"sent after refusal": {start(1), unreachable(1), sent(1)},
		"refused twice":      {start(1), sent(1), unreachable(1), unreachable(1)},
		"refused and passed": {start(1), sent(1), unreachable(1), replied(1, 0)},
	} {
		if _, err := Fold(timed(events...)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
