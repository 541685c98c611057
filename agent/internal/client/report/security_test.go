package report_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/client/record"
	"github.com/stepagent/stepagent/agent/internal/client/report"
	"github.com/stepagent/stepagent/agent/protocol"
)

// How connections were secured is one line for each way, safe to print.
func TestSecurity(t *testing.T) {
	server := record.Certificate{Subject: "CN=bench-7", Issuer: "CN=Lab CA", Serial: "3A:F0", NotAfter: time.Date(2027, 1, 2, 23, 0, 0, 0, time.UTC)}
	const line = "TLS 1.3; certificate of the agent: CN=bench-7 (issued by CN=Lab CA, serial 3A:F0, valid until 2027-01-02)"
	run := finished(passes(1)...)
	if lines := report.Security(run); lines != nil {
		t.Errorf("without TLS: %q", lines)
	}
	run.TLS = []record.TLS{{Version: "1.3", Server: server}, {Version: "1.3", Server: server, ClientSubject: "CN=a", KeyLog: "k\x1b[2J"}}
	want := []string{line, line + "; of the client: CN=a; keys of the connections: k"}
	got := report.Security(run)
	if len(got) != 2 || strings.Contains(got[1], "\x1b") {
		t.Fatalf("%q", got)
	}
	got[1] = got[1][:len(want[1])]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A run that ended because client and agent could not agree on TLS says so first.
func TestSentenceOfARefusedRun(t *testing.T) {
	run := finished(append(passes(1, 2), fate{3, record.Unreachable, protocol.Unreachable, "why", 0}, fate{4, record.NotRun, "", "", 0})...)
	run.Cause, run.Start.Address = record.Refused, "bench-7:8443"
	const want = "no secure connection to bench-7:8443: 2 of 4 steps passed; step 3 was not sent: no connection; step 4 was not run"
	if got := report.Sentence(run); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
