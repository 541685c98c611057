package protocol_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/protocol"
)

func TestAppendRequest(t *testing.T) {
	for want, request := range map[string]protocol.Request{
		`{"step_id":0}`:                    {},
		`{"step_id":-9223372036854775808}`: {StepID: math.MinInt64},
		`{"step_id":1,"timeout":5,"interval":0}`: {StepID: 1, Timeout: protocol.Seconds(5 * time.Second),
			Interval: protocol.Seconds(0)},
		`{"step_id":1,"timeout":0.01,"interval":7.7}`: {StepID: 1, Timeout: protocol.Seconds(10 * time.Millisecond),
			Interval: protocol.Seconds(7700 * time.Millisecond)},
		`{"step_id":1,"timeout":0.000000001,"interval":100.05}`: {StepID: 1, Timeout: protocol.Seconds(1),
			Interval: protocol.Seconds(100*time.Second + 50*time.Millisecond)},
		`{"step_id":1,"timeout":-1.5}`:                  {StepID: 1, Timeout: protocol.Seconds(-1500 * time.Millisecond)},
		`{"step_id":1,"timeout":-9223372036.854775808}`: {StepID: 1, Timeout: protocol.Seconds(math.MinInt64)},
		`{"step_id":1,"timeout":9223372036.854775807}`:  {StepID: 1, Timeout: protocol.Seconds(math.MaxInt64)},
		`{"step_id":1,"session":"a \"b\" \\","req":"r\u0001\n","data":{"a":[1]}}`: {StepID: 1, Session: `a "b" \`,
			Req: protocol.TextReq("r\x01\n"), Data: []byte(`{"a":[1]}`)},
		`{"step_id":1,"req":-7}`: {StepID: 1, Req: protocol.NumReq(-7)},
		`{"step_id":1,"req":7,"client":"stepctl 1.2.0","data":{}}`: {StepID: 1, Req: protocol.NumReq(7),
			Client: "stepctl 1.2.0", Data: []byte(`{}`)},
	} {
		if got := string(protocol.AppendRequest([]byte("> "), request)); got != "> "+want+"\n" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAppendReply(t *testing.T) {
	for want, reply := range map[string]protocol.Reply{
		`{"step_id":3,"error_code":0}`: {StepID: ref(3)},
		`{"step_id":null,"error_code":1,"reason":"bad_message","detail":"the JSON object has no end"}`: {ErrorCode: 1,
			Reason: protocol.BadMessage, Detail: "the JSON object has no end"},
		`{"step_id":3,"error_code":-2,"req":"7","session":"s","reason":"timeout","detail":"a\tb","end":true}`: {StepID: ref(3),
			ErrorCode: -2, Req: protocol.TextReq("7"), Session: "s", Reason: protocol.Timeout, Detail: "a\tb", End: true},
		`{"step_id":3,"error_code":0,"req":7}`: {StepID: ref(3), Req: protocol.NumReq(7)},
		`{"step_id":3,"error_code":0,"end":true,"agent":"stepagent 1.2.0"}`: {StepID: ref(3), End: true,
			Agent: "stepagent 1.2.0"},
		"{\"step_id\":3,\"error_code\":1,\"detail\":\"a\ufffd\ufffdb\x7f\u2028é\"}": {StepID: ref(3), ErrorCode: 1,
			Detail: "a\xff\xfeb\x7f\u2028é"},
	} {
		if got := string(protocol.AppendReply([]byte("> "), reply)); got != "> "+want+"\n" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// session draws the name of a session, or none.
func session() *rapid.Generator[string] {
	return rapid.StringOfN(rapid.Map(rapid.Int32Range(' ', '~'), func(c int32) rune { return c }), 0, protocol.MaxNameBytes, -1)
}

func reqID() *rapid.Generator[protocol.ReqID] {
	return rapid.OneOf(
		rapid.Just(protocol.ReqID{}),
		rapid.Map(rapid.Int64(), protocol.NumReq),
		rapid.Map(rapid.StringN(1, -1, protocol.MaxNameBytes), protocol.TextReq),
	)
}

func wait() *rapid.Generator[protocol.Wait] {
	return rapid.OneOf(
		rapid.Just(protocol.Wait{}),
		rapid.Map(rapid.Int64Range(0, int64(protocol.MaxWait)), func(n int64) protocol.Wait { return protocol.Seconds(time.Duration(n)) }),
		rapid.Map(rapid.Int64Range(0, 100_000), func(n int64) protocol.Wait { return protocol.Seconds(time.Duration(n) * time.Millisecond) }),
	)
}

func data() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "no data") {
			return nil
		}
		object, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.SliceOfN(rapid.Float64(), 0, 3)).Draw(t, "data"))
		if err != nil {
			t.Fatal(err)
		}
		return object
	})
}

func TestRequestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := protocol.Request{
			StepID:   rapid.Int64().Draw(t, "step_id"),
			Timeout:  wait().Draw(t, "timeout"),
			Interval: wait().Draw(t, "interval"),
			Session:  session().Draw(t, "session"),
			Req:      reqID().Draw(t, "req"),
			Client:   session().Draw(t, "client"),
			Data:     data().Draw(t, "data"),
		}
		message := protocol.AppendRequest(nil, want)
		got, err := protocol.DecodeRequest(message)
		if err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		if diff := cmp.Diff(want, got, compareReqs()); diff != "" {
			t.Fatalf("%s: %s", message, diff)
		}
	})
}

func TestReplyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := protocol.Reply{
			ErrorCode: int(rapid.Int32().Draw(t, "error_code")),
			Req:       reqID().Draw(t, "req"),
			Session:   session().Draw(t, "session"),
			Reason:    protocol.Reason(rapid.String().Draw(t, "reason")),
			Detail:    string(rapid.SliceOf(rapid.Byte()).Draw(t, "detail")),
			End:       rapid.Bool().Draw(t, "end"),
		}
		if rapid.Bool().Draw(t, "has step_id") {
			want.StepID = ref(rapid.Int64().Draw(t, "step_id"))
		}
		message := protocol.AppendReply(nil, want)
		got, err := protocol.DecodeReply(message)
		if err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		if strings.Count(string(message), "\n") != 1 {
			t.Fatalf("%q is not one line", message)
		}
		// Each byte that is no UTF-8 has become one U+FFFD.
		want.Detail = string([]rune(want.Detail))
		if diff := cmp.Diff(want, got, compareReqs()); diff != "" {
			t.Fatalf("%s: %s", message, diff)
		}
	})
}
