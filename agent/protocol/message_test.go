package protocol_test

import (
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/protocol"
)

func TestReqID(t *testing.T) {
	for want, req := range map[string]protocol.ReqID{
		``:      {},
		`"7"`:   protocol.TextReq("7"),
		`7`:     protocol.NumReq(7),
		`0`:     protocol.NumReq(0),
		`""`:    protocol.TextReq(""),
		`"a\n"`: protocol.TextReq("a\n"),
	} {
		if req.String() != want || req.IsZero() != (want == "") {
			t.Errorf("got %s, zero %t, want %s", req, req.IsZero(), want)
		}
	}
	if protocol.TextReq("7") == protocol.NumReq(7) || protocol.NumReq(0) == (protocol.ReqID{}) {
		t.Error("different ReqIDs are equal")
	}
}

func TestReplyOK(t *testing.T) {
	for want, replies := range map[bool][]protocol.Reply{
		true:  {{StepID: ref(0)}, {StepID: ref(3), End: true}},
		false: {{}, {StepID: ref(3), ErrorCode: 1}, {StepID: ref(3), ErrorCode: -1}, {ErrorCode: 1}},
	} {
		for _, reply := range replies {
			if reply.OK() != want {
				t.Errorf("%s: OK is %t", protocol.AppendReply(nil, reply), reply.OK())
			}
		}
	}
}

func TestReasons(t *testing.T) {
	seen := make(map[protocol.Reason]bool)
	for _, reason := range protocol.Sent() {
		if seen[reason] {
			t.Errorf("%s is in the list twice", reason)
		}
		seen[reason] = true
		if reason.AgentsOwn() && slices.Contains(protocol.Judged(), reason) {
			t.Errorf("%s is of the agent and of a validator", reason)
		}
	}
	for _, reason := range []protocol.Reason{protocol.BadMessage, protocol.BadRequest, protocol.OutOfOrder, protocol.Timeout} {
		if reason.AgentsOwn() {
			t.Errorf("%s is the client's, not the agent's own", reason)
		}
	}
	if !protocol.Busy.AgentsOwn() || !protocol.Internal.AgentsOwn() {
		t.Error("a fault of the agent's own is not known as one")
	}
}

func TestCodes(t *testing.T) {
	codes := protocol.Codes{protocol.OutOfOrder: 2}
	for reason, want := range map[protocol.Reason]int{"": 0, protocol.OutOfOrder: 2, protocol.TimeoutTooShort: 1} {
		if got := codes.Of(reason); got != want {
			t.Errorf("%q: code %d, want %d", reason, got, want)
		}
	}
}
