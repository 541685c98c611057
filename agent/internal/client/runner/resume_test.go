package runner_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/runner"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A keeper is an agent that has one session: it judges each req once, by the order of the steps, and
// sends the reply once more if a req comes again.
type keeper struct {
	judged []protocol.ReqID
	codes  map[protocol.ReqID]int
}

func (k *keeper) serve(p *peer) {
	for p.next() {
		req := p.last.Req
		if !slices.Contains(k.judged, req) {
			k.judged = append(k.judged, req)
			if p.last.StepID != int64(len(k.judged)) {
				k.codes[req] = 1
			}
		}
		if k.codes[req] == 0 {
			p.send(echoed)
		} else {
			p.send(`{"step_id":$ID,"error_code":1,"req":$REQ,"reason":"out_of_order"}`)
		}
	}
}

// collect runs a procedure against scripts and returns its events.
func collect(t *testing.T, p stepfile.Procedure, opts runner.Options, scripts ...script) (record.Run, []record.Event, error) {
	t.Helper()
	var events []record.Event
	opts.Address, opts.Dial = "agent:8080", dialer(scripts...)
	opts.Emit = func(e record.Event) { events = append(events, e) }
	run, err := runner.Run(t.Context(), p, opts)
	return run, events, err
}

// resume returns the run of the events, which can be resumed.
func resume(t *testing.T, p stepfile.Procedure, events []record.Event) *runner.Interrupted {
	t.Helper()
	earlier, err := runner.Resumable(record.Log{Name: "run.jsonl", Events: events}, p)
	if err != nil {
		t.Fatal(err)
	}
	return earlier
}

// Wherever stepctl was killed, the run goes on: each step is judged once and passes, intervals are kept,
// and the events and their times go on from those of the killed run.
func TestResumeAfterEachEvent(t *testing.T) {
	const away = 10 * time.Second
	p := procedure(1, 2, 3)
	p.Steps[1].Interval = 20 * time.Second
	synctest.Test(t, func(t *testing.T) {
		_, whole, err := collect(t, p, runner.Options{}, (&keeper{codes: map[protocol.ReqID]int{}}).serve)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < len(whole); n++ {
			killed := slices.Clone(whole[:n])
			agent := &keeper{codes: map[protocol.ReqID]int{}}
			for _, e := range killed {
				// The agent has judged what was sent, although the last reply may not have been read.
				if e.Kind == record.KindSent {
					agent.judged = append(agent.judged, e.Req)
				}
			}
			start := *killed[0].Start
			start.Time = time.Now().Add(-away - killed[n-1].At).Round(0)
			killed[0].Start = &start
			run, events, err := collect(t, p, runner.Options{Resume: resume(t, p, killed)}, agent.serve)
			if err != nil {
				t.Fatal(err)
			}
			if run.Verdict != record.Pass || len(run.Resumptions) != 1 || run.Resumptions[0].Away != away || len(agent.judged) != 3 {
				t.Errorf("after %d events: %v, %+v, %d steps judged\n%s", n, run.Verdict, run.Resumptions, len(agent.judged), trace(events))
			}
			if trace(events[:n]) != trace(killed) || events[n].Kind != record.KindResumed || events[n].At != killed[n-1].At+away {
				t.Errorf("after %d events:\n%s", n, trace(events))
			}
			for _, step := range run.Steps[:2] {
				if kept := step.Kept.Duration; kept < step.Interval || kept > step.Interval+away {
					t.Errorf("after %d events: step %d was followed by %v", n, step.Index, kept)
				}
			}
		}
	})
}

// What is left of an interval is waited for once, and the rest of the record follows.
func TestResumeInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := procedure(1, 2)
		p.Steps[0].Interval = 20 * time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var stopped []record.Event
		agent := &keeper{codes: map[protocol.ReqID]int{}}
		if _, err := runner.Run(ctx, p, runner.Options{Address: "agent:8080", Dial: dialer(agent.serve),
			Emit: func(e record.Event) { stopped = append(stopped, e) }}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		var waits []time.Duration
		run, events, err := collect(t, p, runner.Options{Resume: resume(t, p, stopped),
			OnInterval: func(_ int, _ int64, d time.Duration) { waits = append(waits, d) }}, agent.serve)
		if err != nil || run.Verdict != record.Pass || !slices.Equal(waits, []time.Duration{5 * time.Second}) {
			t.Errorf("%v, waited %v, error %v", run.Verdict, waits, err)
		}
		expect(t, trace(events), "0s start", "0s sent 1/1", "0s reply 1/1 took 0s code 0", "5s interval 1/1 kept 5s", "5s end interrupted",
			"15s resumed", "20s interval 1/1 kept 20s", "20s sent 2/2", "20s reply 2/2 took 0s code 0", "20s end finished")
	})
}

// A wall clock that was set back does not make the wait longer than the interval, nor the times go back.
func TestResumeAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := procedure(1, 2)
		_, whole, err := collect(t, p, runner.Options{}, each(good))
		if err != nil {
			t.Fatal(err)
		}
		whole[0].Start.Time = time.Now().Add(time.Hour)
		began := time.Now()
		run, events, err := collect(t, p, runner.Options{Resume: resume(t, p, whole[:3])}, each(good))
		if err != nil || run.Verdict != record.Pass || time.Since(began) != time.Second || run.Resumptions[0].Away != 0 {
			t.Errorf("%v, %+v, took %v, error %v\n%s", run.Verdict, run.Resumptions, time.Since(began), err, trace(events))
		}
	})
}

// An agent without the session refuses what follows.
func TestResumeWithoutTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := procedure(1, 2)
		_, whole, err := collect(t, p, runner.Options{}, (&keeper{codes: map[protocol.ReqID]int{}}).serve)
		if err != nil {
			t.Fatal(err)
		}
		run, _, err := collect(t, p, runner.Options{Resume: resume(t, p, whole[:4])}, (&keeper{codes: map[protocol.ReqID]int{}}).serve)
		if err != nil || outcomes(run) != "passed failed" || run.Cause != record.Finished {
			t.Errorf("%s, %v, error %v", outcomes(run), run.Cause, err)
		}
	})
}

// Without an agent nothing is emitted, so that the run can be resumed later.
func TestResumeWithoutAnAgent(t *testing.T) {
	p := procedure(1, 2)
	var none []record.Event
	synctest.Test(t, func(t *testing.T) {
		_, whole, err := collect(t, p, runner.Options{}, each(good))
		if err != nil {
			t.Fatal(err)
		}
		if _, none, err = collect(t, p, runner.Options{Resume: resume(t, p, whole[:4])}); !errors.Is(err, client.ErrUnreachable) || len(none) > 0 {
			t.Errorf("error %v, %s", err, trace(none))
		}
		// When the user gives up meanwhile, the run is interrupted once more.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		run, err := runner.Run(ctx, p, runner.Options{Address: "agent:8080", Dial: slowly(time.Minute, nil), Resume: resume(t, p, whole[:4])})
		if err != nil || run.Cause != record.Interrupted || len(run.Resumptions) != 1 {
			t.Errorf("%+v, error %v", run, err)
		}
	})
}

// What an agent sends before the run is resumed comes after the events of the interrupted run.
func TestStraysBeforeTheResumption(t *testing.T) {
	for name, message := range map[string]string{"unsolicited": `{"step_id":9,"error_code":0,"req":"x"}`, "garbage": "[]", "refusal": `{"step_id":null,"error_code":1,"reason":"busy"}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := procedure(1, 2)
				_, whole, err := collect(t, p, runner.Options{}, each(good))
				if err != nil {
					t.Fatal(err)
				}
				agent := func(p *peer) {
					p.send(strings.Repeat(message, 3))
					each(good)(p)
				}
				var events []record.Event
				_, err = runner.Run(t.Context(), p, runner.Options{Address: "agent:8080", MaxStrays: 1, Resume: resume(t, p, whole[:3]),
					Dial: slowly(time.Second, dialer(agent, each(good), each(good))), Emit: func(e record.Event) { events = append(events, e) }})
				if err != nil || trace(events[:3]) != trace(whole[:3]) {
					t.Errorf("error %v\n%s", err, trace(events))
				}
				time.Sleep(time.Minute) // until the agent has said all
			})
		})
	}
}

func TestWhatCannotBeResumed(t *testing.T) {
	p := procedure(1, 2)
	other := procedure(1, 3)
	changed := procedure(1, 2)
	changed.SHA256 = "01"
	synctest.Test(t, func(t *testing.T) {
		_, whole, err := collect(t, p, runner.Options{}, each(good))
		if err != nil {
			t.Fatal(err)
		}
		_, lost, err := collect(t, p, runner.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, plain, err := collect(t, p, runner.Options{Plain: true}, each(says(bare, 0)), each(says(bare, 0)))
		if err != nil {
			t.Fatal(err)
		}
		for want, tt := range map[string]struct {
			events    []record.Event
			procedure stepfile.Procedure
		}{
			"run.jsonl has ended (finished)":              {whole, p},
			"run.jsonl has ended (lost)":                  {lost, p},
			"run.jsonl has no session":                    {plain[:3], p},
			"steps.json is not the procedure of run.json": {whole[:3], other},
			"its sha256 is 01, and 00 is recorded":        {whole[:3], changed},
			"a record begins with its start":              {nil, p},
		} {
			_, err := runner.Resumable(record.Log{Name: "run.jsonl", Events: tt.events}, tt.procedure)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
		earlier := resume(t, p, whole[:3])
		for _, opts := range []runner.Options{{Session: "other", Resume: earlier}, {Plain: true, Resume: earlier}} {
			opts.Address = "agent:8080"
			if err := opts.Validate(); err == nil || !strings.Contains(err.Error(), "name no other") {
				t.Errorf("error %v", err)
			}
		}
	})
}
