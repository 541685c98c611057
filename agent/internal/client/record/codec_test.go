package record

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/protocol"
)

var exactly = cmp.AllowUnexported(protocol.ReqID{})

func id(n int64) *int64 { return &n }

// One event of each kind with its line: the format. A line that changes here is a new
// format.
func TestLines(t *testing.T) {
	tests := []struct {
		event Event
		line  string
	}{
		{Event{Kind: KindStart, Start: &Start{Format: 1, Client: "1.2.0", Agent: "1.1.0", Host: "laptop",
			Address: "192.0.2.7:8080", Session: "stepctl-1", Time: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC),
			Procedure: Procedure{Name: "a.json", SHA256: "00ff", Steps: []Step{
				{StepID: 1, Timeout: 5 * time.Second, Interval: 1500 * time.Millisecond}, {StepID: -7}}}}},
			`{"event":"start","at":0,"format":1,"client":"1.2.0","agent":"1.1.0","host":"laptop",` +
				`"address":"192.0.2.7:8080","session":"stepctl-1","time":"2026-03-01T12:00:00.000000005Z",` +
				`"procedure":{"name":"a.json","sha256":"00ff","steps":[{"step_id":1,"timeout":5,"interval":1.5},` +
				`{"step_id":-7,"timeout":0,"interval":0}]}}`},
		{secured("1.3", "CN=station-7", "keys.log"),
			`{"event":"tls","at":0,"version":"1.3","server":{"subject":"CN=bench-7","issuer":"CN=Bench CA","serial":"3A:F0",` +
				`"not_after":"2027-01-02T03:04:05Z"},"client_subject":"CN=station-7","keylog":"keys.log"}`},
		{secured("1.2", "", ""),
			`{"event":"tls","at":0,"version":"1.2","server":{"subject":"CN=bench-7","issuer":"CN=Bench CA","serial":"3A:F0",` +
				`"not_after":"2027-01-02T03:04:05Z"}}`},
		{Event{Kind: KindSent, At: 1, Index: 1, StepID: 0, Req: protocol.TextReq("a-1"), Timeout: 5 * time.Second},
			`{"event":"sent","at":0.000000001,"index":1,"step_id":0,"req":"a-1","timeout":5,"interval":0}`},
		{Event{Kind: KindSent, Index: 1, StepID: 1, Req: protocol.NumReq(7), Interval: time.Minute},
			`{"event":"sent","at":0,"index":1,"step_id":1,"req":7,"timeout":0,"interval":60}`},
		{Event{Kind: KindSent, Index: 2, StepID: 1},
			`{"event":"sent","at":0,"index":2,"step_id":1,"timeout":0,"interval":0}`},
		{Event{Kind: KindAgain, Index: 1, StepID: 1, Again: &Again{RetryLost}, Took: time.Second, Detail: "the agent closed it"},
			`{"event":"again","at":0,"index":1,"step_id":1,"cause":"lost","took":1,"detail":"the agent closed it"}`},
		{Event{Kind: KindAgain, Index: 1, StepID: 1, Again: &Again{RetryBusy}, Reply: &protocol.Reply{StepID: id(1), ErrorCode: 1, Reason: protocol.Busy}},
			`{"event":"again","at":0,"index":1,"step_id":1,"cause":"busy","took":0,"reply":{"step_id":1,"error_code":1,"reason":"busy"}}`},
		{Event{Kind: KindResent, Index: 1, StepID: 1}, `{"event":"resent","at":0,"index":1,"step_id":1}`},
		{Event{Kind: KindStart, Start: &Start{Format: 1, Address: "a:1", Addresses: []string{"a:1", "b:2"}, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
			Procedure: Procedure{Name: "a.json", SHA256: "00ff", Steps: []Step{}}}},
			`{"event":"start","at":0,"format":1,"client":"","host":"","address":"a:1","addresses":["a:1","b:2"],` +
				`"time":"2026-03-01T12:00:00Z","procedure":{"name":"a.json","sha256":"00ff","steps":[]}}`},
		{Event{Kind: KindSent, Index: 1, StepID: 1, Address: "b:2", Req: protocol.NumReq(7)},
			`{"event":"sent","at":0,"index":1,"step_id":1,"address":"b:2","req":7,"timeout":0,"interval":0}`},
		{Event{Kind: KindAgain, Index: 1, StepID: 1, Address: "b:2", Again: &Again{RetryUnreachable}},
			`{"event":"again","at":0,"index":1,"step_id":1,"address":"b:2","cause":"unreachable","took":0}`},
		{Event{Kind: KindResent, Index: 1, StepID: 1, Address: "[::1]:2"}, `{"event":"resent","at":0,"index":1,"step_id":1,"address":"[::1]:2"}`},
		{Event{Kind: KindResumed, Resumed: &Resumed{Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Address: "b:2", Addresses: []string{"b:2", "a:1"}}},
			`{"event":"resumed","at":0,"away":0,"time":"2026-03-01T12:00:00Z","address":"b:2","addresses":["b:2","a:1"]}`},
		{Event{Kind: KindReply, Index: 1, StepID: 1, Took: 20 * time.Millisecond,
			Reply: &protocol.Reply{StepID: id(1), Req: protocol.TextReq("a-1"), End: true}},
			`{"event":"reply","at":0,"index":1,"step_id":1,"took":0.02,"reply":{"step_id":1,"error_code":0,"req":"a-1","end":true}}`},
		{Event{Kind: KindTimeout, Index: 1, StepID: 1, Took: 5 * time.Second},
			`{"event":"timeout","at":0,"index":1,"step_id":1,"took":5}`},
		{Event{Kind: KindLost, Index: 1, StepID: 1, Detail: "the connection was lost"},
			`{"event":"lost","at":0,"index":1,"step_id":1,"took":0,"detail":"the connection was lost"}`},
		{Event{Kind: KindWrong, Index: 1, StepID: 1, Detail: "got [1]"},
			`{"event":"wrong","at":0,"index":1,"step_id":1,"took":0,"detail":"got [1]"}`},
		{Event{Kind: KindWrong, Index: 1, StepID: 1, Reply: &protocol.Reply{StepID: id(2)}},
			`{"event":"wrong","at":0,"index":1,"step_id":1,"took":0,"detail":"","reply":{"step_id":2,"error_code":0}}`},
		{Event{Kind: KindUnreachable, Index: 1, StepID: 1, Detail: "refused"},
			`{"event":"unreachable","at":0,"index":1,"step_id":1,"detail":"refused"}`},
		{Event{Kind: KindLate, Index: 1, StepID: 1, Took: 6 * time.Second,
			Reply: &protocol.Reply{StepID: id(1), ErrorCode: 1, Session: "s", Reason: protocol.OutOfOrder, Detail: "why"}},
			`{"event":"late","at":0,"index":1,"step_id":1,"took":6,"reply":` +
				`{"step_id":1,"error_code":1,"session":"s","reason":"out_of_order","detail":"why"}}`},
		{Event{Kind: KindStray, Stray: StrayGarbage, Detail: "got [1]"},
			`{"event":"stray","at":0,"stray":"garbage","detail":"got [1]"}`},
		{Event{Kind: KindStray, Index: 1, StepID: 1, Stray: StrayDuplicate, Reply: &protocol.Reply{}},
			`{"event":"stray","at":0,"index":1,"step_id":1,"stray":"duplicate","detail":"","reply":{"step_id":null,"error_code":0}}`},
		{Event{Kind: KindInterval, Index: 1, StepID: 1, Interval: time.Second, Kept: time.Second + 1},
			`{"event":"interval","at":0,"index":1,"step_id":1,"interval":1,"kept":1.000000001}`},
		{resumed(0),
			`{"event":"resumed","at":0,"away":0,"time":"2026-03-01T12:30:00Z"}`},
		{Event{Kind: KindResumed, At: 12 * time.Second, Resumed: &Resumed{Away: 1500 * time.Millisecond,
			Time: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC), Address: "192.0.2.8:8080"}},
			`{"event":"resumed","at":12,"away":1.5,"time":"2026-03-01T12:00:00.000000005Z","address":"192.0.2.8:8080"}`},
		{Event{Kind: KindEnd, At: 123456789 * time.Microsecond, End: &End{Cause: Finished, Counts: Counts{Passed: 9, TimedOut: 1}}},
			`{"event":"end","at":123.456789,"cause":"finished","counts":{"passed":9,"timed_out":1}}`},
	}
	for _, tt := range tests {
		t.Run(string(tt.event.Kind), func(t *testing.T) {
			line, err := appendEvent(nil, &tt.event)
			if err != nil || string(line) != tt.line+"\n" {
				t.Errorf("line %s, error %v, want\n%s", line, err, tt.line)
			}
			event, err := decodeEvent([]byte(tt.line))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.event, event, exactly); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadLines(t *testing.T) {
	const timeout = `{"event":"timeout","at":0,"index":1,"step_id":1,"took":5}`
	tests := []struct{ name, from, to, want string }{
		{"empty", timeout, ``, "not a JSON object"},
		{"null", timeout, `null`, "not a JSON object"},
		{"a list", timeout, `[]`, "not a JSON object"},
		{"cut", `}`, ``, "not a JSON object"},
		{"more behind it", `}`, `}{}`, "not a JSON object"},
		{"no event", `"event":"timeout",`, ``, "event is missing"},
		{"unknown event", `"timeout"`, `"timed"`, `"timed" is no kind of event`},
		{"event is null", `"timeout"`, `null`, "event must not be null"},
		{"event in capitals", `"event"`, `"Event"`, "event is missing"},
		{"member missing", `,"took":5`, ``, "took is missing"},
		{"member null", `"took":5`, `"took":null`, "took must not be null"},
		{"member unknown", `"took":5`, `"took":5,"took2":5`, `"took2" is not known here`},
		{"member of another kind", `"took":5`, `"took":5,"kept":5`, `"kept" is not known here`},
		{"member twice", `"took":5`, `"took":5,"took":6`, "duplicate"},
		{"seconds as a string", `"took":5`, `"took":"5"`, `"5" is no number of seconds`},
		{"seconds negative", `"took":5`, `"took":-5`, "-5 is no number of seconds"},
		{"seconds with an exponent", `"took":5`, `"took":5e0`, "5e0 is no number of seconds"},
		{"seconds too exact", `"took":5`, `"took":0.0000000001`, "is no number of seconds"},
		{"seconds too many", `"took":5`, `"took":9223372037`, "is no number of seconds"},
		{"index a fraction", `"index":1`, `"index":1.5`, "index: "},
		{"index a string", `"index":1`, `"index":"1"`, "index: "},
		{"step_id too large", `"step_id":1`, `"step_id":9223372036854775808`, "step_id: "},
		{"a certificate without a member", `"timeout","at":0,"index":1,"step_id":1,"took":5`,
			`"tls","at":0,"version":"1.3","server":{"subject":"","issuer":"","serial":""}`, "not_after is missing"},
		{"invalid UTF-8", `"took"`, "\"\xff\"", "not a JSON object: "},
		{"reply null", `"timeout","at":0,"index":1,"step_id":1,"took":5`,
			`"reply","at":0,"index":1,"step_id":1,"took":5,"reply":null`, "reply must not be null"},
		{"reply without code", `"timeout","at":0,"index":1,"step_id":1,"took":5`,
			`"reply","at":0,"index":1,"step_id":1,"took":5,"reply":{"step_id":1}`, "reply: "},
		{"req an object", `"timeout","at":0,"index":1,"step_id":1,"took":5`,
			`"sent","at":0,"index":1,"step_id":1,"req":{},"timeout":5,"interval":5`, "req: "},
		{"count of nothing", `"timeout","at":0,"index":1,"step_id":1,"took":5`,
			`"end","at":0,"cause":"finished","counts":{"won":1}`, "counts: "},
		{"step incomplete", timeout,
			`{"event":"start","at":0,"format":1,"client":"","host":"","address":"","time":"2026-03-01T12:00:00Z",` +
				`"procedure":{"name":"","sha256":"","steps":[{"step_id":1,"timeout":1}]}}`, "procedure: steps: interval is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			line := strings.Replace(timeout, tt.from, tt.to, 1)
			if _, err := decodeEvent([]byte(line)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q in it, for %s", err, tt.want, line)
			}
		})
	}
}

func TestEventsThatCannotBeWritten(t *testing.T) {
	for _, e := range []Event{{}, {Kind: "other"}, {Kind: KindStart}, {Kind: KindAgain}, {Kind: KindResumed}, {Kind: KindEnd}, {Kind: KindTimeout, At: -1},
		{Kind: KindReply}, {Kind: KindEnd, End: &End{Counts: Counts{99: 1}}}} {
		if line, err := appendEvent(nil, &e); err == nil {
			t.Errorf("%+v became %s", e, line)
		}
	}
}

func TestOutcomeNames(t *testing.T) {
	for _, outcome := range Outcomes() {
		text, err := outcome.MarshalText()
		var back Outcome
		if err != nil || back.UnmarshalText(text) != nil || back != outcome {
			t.Errorf("%d became %s and then %d, error %v", outcome, text, back, err)
		}
	}
	var zero Run
	if zero.Verdict != Undecided || NotRun != 0 || !zero.Cut() {
		t.Error("the zero run says something")
	}
}
