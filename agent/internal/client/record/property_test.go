package record

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/protocol"
)

// plainlyPassed is a second opinion on whether events are those of a run that passed. It
// only asks, for each expected step, for its request and for its reply; it does not care for
// what Fold thinks of the rest.
func plainlyPassed(events []Event) bool {
	if len(events) < 2 || events[0].Kind != KindStart || events[0].Start == nil {
		return false
	}
	last := events[len(events)-1]
	if last.Kind != KindEnd || last.End == nil || last.End.Cause != Finished {
		return false
	}
	steps := events[0].Start.Procedure.Steps
	for i, step := range steps {
		var sent, replies []Event
		for _, e := range events {
			switch {
			case e.Index != i+1:
			case e.Kind == KindSent:
				sent = append(sent, e)
			case e.Kind == KindReply:
				replies = append(replies, e)
			case e.Kind == KindTimeout, e.Kind == KindLost, e.Kind == KindWrong, e.Kind == KindUnreachable:
				return false
			}
		}
		if len(sent) != 1 || len(replies) != 1 {
			return false
		}
		r := replies[0]
		inTime := r.Took < step.Timeout && r.At >= sent[0].At
		toItself := r.Reply != nil && r.Reply.StepID != nil && *r.Reply.StepID == step.StepID &&
			(r.Reply.Req == sent[0].Req || r.Reply.Req == protocol.ReqID{})
		if !inTime || !toItself || r.Reply.ErrorCode != 0 {
			return false
		}
	}
	return len(steps) > 0
}

// runs are records as the runner writes them: any outcome for each step, ending anyhow.
func runs(likelyToPass bool) *rapid.Generator[[]Event] {
	return rapid.Custom(func(t *rapid.T) []Event {
		// Few ids, so that steps often share one.
		ids := rapid.SliceOfN(rapid.Int64Range(1, 3), 0, 4).Draw(t, "ids")
		events := []Event{start(ids...)}
		counts := Counts{}
		stop := len(ids)
		cause := Finished
		if !likelyToPass && rapid.Bool().Draw(t, "interrupted") {
			stop, cause = rapid.IntRange(0, len(ids)).Draw(t, "after"), Interrupted
		}
		for i := range stop {
			n := i + 1
			add := func(es ...Event) {
				for _, e := range es {
					if e.StepID = ids[i]; e.Reply != nil {
						e.Reply.StepID = id(ids[i])
					}
					events = append(events, e)
				}
			}
			outcome := Passed
			if !likelyToPass {
				outcome = rapid.SampledFrom([]Outcome{Passed, Passed, Failed, TimedOut, ConnectionLost, WrongReply, Unreachable}).Draw(t, "outcome")
			}
			counts[outcome]++
			tries := triesOf(t, n)
			switch outcome {
			case Passed:
				add(append(tries, replied(n, 0))...)
			case Failed:
				add(append(tries, replied(n, 1))...)
			case TimedOut:
				add(append(tries, failed(KindTimeout, n))...)
				if rapid.Bool().Draw(t, "late") {
					add(late(n))
				}
			case ConnectionLost:
				add(append(tries, failed(KindLost, n))...)
			case WrongReply:
				add(append(tries, failed(KindWrong, n))...)
			case Unreachable:
				add(append(awayBefore(t, n), unreachable(n))...)
			}
			if n < len(ids) {
				add(waited(n, time.Second))
			}
		}
		if rest := len(ids) - stop; rest > 0 {
			counts[NotRun] = rest
		}
		return timed(append(events, end(cause, counts))...)
	})
}

// somewhere is the event of an agent at any address.
func somewhere(t *rapid.T, e Event) Event {
	e.Address = rapid.SampledFrom([]string{"", "", "", "b:1", "c:1"}).Draw(t, "address")
	return e
}

// awayBefore are the events of a step before it is sent, or cannot be.
func awayBefore(t *rapid.T, n int) []Event {
	var events []Event
	if rapid.Bool().Draw(t, "lost before") {
		lost := again(RetryLost, n)
		lost.Took = time.Duration(rapid.IntRange(0, 20).Draw(t, "ago")) * time.Second
		events = append(events, lost)
	}
	for range rapid.IntRange(-3, 2).Draw(t, "away before") {
		events = append(events, somewhere(t, again(RetryUnreachable, n)))
	}
	return events
}

// triesOf are the events of a step until it is sent for the last time.
func triesOf(t *rapid.T, n int) []Event {
	away := rapid.IntRange(-3, 2)
	events := append(awayBefore(t, n), somewhere(t, sent(n)))
	for range away.Draw(t, "tried again") {
		events = append(events, again(rapid.SampledFrom([]Retry{RetryLost, RetryBusy, RetryStopping, RetryValidator}).Draw(t, "cause"), n))
		for range away.Draw(t, "away") {
			events = append(events, again(RetryUnreachable, n))
		}
		events = append(events, somewhere(t, resent(n)))
	}
	return events
}

// What the runner writes is understood, and passes exactly when it plainly did.
func TestFoldOfSoundRecords(t *testing.T) {
	passes := 0
	rapid.Check(t, func(t *rapid.T) {
		events := runs(rapid.Bool().Draw(t, "likely to pass")).Draw(t, "events")
		run, err := Fold(events)
		if err != nil {
			t.Fatal(err)
		}
		if (run.Verdict == Pass) != plainlyPassed(events) {
			t.Fatalf("verdict %v", run.Verdict)
		}
		if run.Away > run.Duration {
			t.Fatalf("the agent was away for %v of %v", run.Away, run.Duration)
		}
		followed := slices.Clone(run.Steps)
		live := &Live{}
		for _, e := range events {
			step, err := live.Add(e)
			if err != nil || step.Index != e.Index {
				t.Fatalf("%s: %+v, error %v", e.Kind, step, err)
			}
			if e.Index > 0 {
				followed[e.Index-1] = step
			}
		}
		if diff := cmp.Diff(run.Steps, followed, exactly); diff != "" {
			t.Fatal(diff)
		}
		if run.Verdict == Pass {
			passes++
		}
	})
	if passes == 0 && !testing.Short() { // the few rounds of a short test may hold none
		t.Error("no run passed")
	}
}

// For all changes to the events of a run: it is a pass only if it plainly passed.
func TestFoldNeverPassesWhatDidNotPass(t *testing.T) {
	passes := 0
	rapid.Check(t, func(t *rapid.T) {
		events := runs(true).Draw(t, "events")
		other := runs(false).Draw(t, "other")
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(events)-1).Draw(t, "at")
			to := rapid.IntRange(0, len(events)-1).Draw(t, "to")
			switch rapid.IntRange(0, 6).Draw(t, "change") {
			case 0: // dropped
				if len(events) > 1 {
					events = slices.Delete(events, at, at+1)
				}
			case 1: // doubled
				events = slices.Insert(events, to, events[at])
			case 2: // swapped
				events[at], events[to] = events[to], events[at]
			case 3: // from another run
				events = slices.Insert(events, at, rapid.SampledFrom(other).Draw(t, "foreign"))
			case 4: // the reply of another step
				events[at].Reply = events[to].Reply
			case 5: // of another place
				events[at].Index = events[to].Index
			case 6:
				events[at].Took = rapid.SampledFrom([]time.Duration{0, 5*time.Second - 1, 5 * time.Second}).Draw(t, "took")
			}
		}
		if rapid.Bool().Draw(t, "shuffled") {
			events = rapid.Permutation(events).Draw(t, "order")
		}
		if rapid.Bool().Draw(t, "times mended") {
			events = timed(events...)
		}
		run, err := Fold(events)
		if err != nil && (run.Verdict != Undecided || run.Steps != nil) {
			t.Fatalf("error %v and verdict %v", err, run.Verdict)
		}
		if run.Verdict == Pass {
			passes++
			if !plainlyPassed(events) {
				t.Fatal("a pass")
			}
		}
	})
	if passes == 0 && !testing.Short() { // the few rounds of a short test may hold none
		t.Error("nothing was left of any run")
	}
}
