package html

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/testkit/cataloguetest"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/pacing"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// Every entry exists in both languages, takes the same arguments, and is in its language.
func TestCatalogue(t *testing.T) {
	cataloguetest.Check(t, english(), korean(), ".Words.Milliseconds", ".Scale")
	if n := len(cataloguetest.Entries(english())); n < 100 {
		t.Fatalf("%d entries", n)
	}
	for _, w := range []*words{english(), korean()} {
		for _, outcome := range record.Outcomes() {
			if w.Results[outcome] == "" || w.Fates[outcome] == "" {
				t.Errorf("no words for the outcome %s", outcome)
			}
		}
		for _, reason := range append(protocol.Sent(), protocol.Timeout, protocol.ConnectionLost, protocol.WrongReply, protocol.Unreachable) {
			if w.Reasons[reason] == "" {
				t.Errorf("no words for the reason %s", reason)
			}
		}
		for _, cause := range []record.Cause{record.Finished, record.Interrupted, record.Lost, record.Refused, ""} {
			if w.Endings[cause] == "" {
				t.Errorf("no words for the end %q", cause)
			}
		}
	}
}

// ask returns the detail with which a validator fails a step.
func ask(t *testing.T, make validator.Factory, settings string, session validator.Session, step validator.Step) string {
	t.Helper()
	v, err := make([]byte(settings))
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := v.Validate(context.Background(), session, step)
	if err != nil || verdict.Outcome != validator.Fail {
		t.Fatalf("%+v, error %v", verdict, err)
	}
	return verdict.Detail
}

// bundled returns details produced by the bundled validators.
func bundled(t *testing.T) []string {
	session := validator.Session{ID: "s", Position: 1, Steps: 10}
	wait := func(d time.Duration) validator.Wait { return validator.Wait{Duration: d, Declared: true} }
	all := []string{
		ask(t, sequence.New, `{"last":3}`, validator.Session{Steps: 9}, validator.Step{ID: 100}),
		ask(t, sequence.New, `{"last":3}`, validator.Session{Steps: 9}, validator.Step{ID: 2}),
		ask(t, mintimeout.New, `{"seconds":5}`, session, validator.Step{ID: 1, Timeout: wait(1500 * time.Millisecond)}),
	}
	v, err := pacing.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := v.Validate(context.Background(), validator.Session{ID: "s", Steps: 10}, validator.Step{ID: 1, Interval: wait(2 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	session.State = first.State
	for _, gap := range []time.Duration{time.Second, 5 * time.Second} {
		all = append(all, ask(t, pacing.New, "", session, validator.Step{ID: 2, Gap: wait(gap)}))
	}
	return all
}

// The details of the bundled validators are translated into Korean with all their numbers.
func TestDetailsOfTheBundledValidators(t *testing.T) {
	w := korean()
	for _, detail := range bundled(t) {
		text, ok := w.translate(detail)
		if !ok || !strings.ContainsFunc(text, cataloguetest.Hangul) || strings.Contains(text, "$") {
			t.Errorf("%q became %q", detail, text)
			continue
		}
		for _, number := range regexp.MustCompile(`\d+(\.\d+)?`).FindAllString(detail, -1) {
			if !strings.Contains(text, number) {
				t.Errorf("%q lost %s in %q", detail, number, text)
			}
		}
	}
	if text, ok := w.translate("the valve is open"); ok || text != "the valve is open" {
		t.Errorf("a detail of a user's validator became %q", text)
	}
	if text, ok := w.translate(korean().Pass); ok {
		t.Errorf("it became %q", text)
	}
}
