package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	agentjudge "github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/capture/tlsrecord"
	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

var (
	client = netip.MustParseAddrPort("192.0.2.1:40000")
	agent  = netip.MustParseAddrPort("192.0.2.2:8080")
	began  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

const ms = time.Millisecond

// An act is one step of a scene: what the client sends and what the agent does.
type act struct {
	id                int64
	timeout, interval time.Duration
	// reason refuses the step; after is when the reply comes, 0 for half a millisecond.
	reason protocol.Reason
	after  time.Duration
	// silent: no reply. reset: the agent breaks the connection off instead.
	silent, reset bool
	// kept is how long the client waits really, 0 for the interval.
	kept time.Duration
}

// A scene is a client that performs acts.
type scene struct {
	client  netip.AddrPort
	agent   netip.AddrPort // agent when zero
	session string
	// plain is as clients without sessions do: a connection a step, no newline.
	plain bool
	acts  []act
	at    time.Duration
	// ahead sends all requests in one packet; apart opens another connection now and then.
	ahead, apart bool
	// noID and noClock are what the hosts leave out of their packets.
	noID, noClock bool
	// way has the capture taken at the agent, see capturetest.Talk.
	way func(at time.Duration) time.Duration
	// keyLog has the client speak TLS and log its secrets; nil for plain.
	keyLog *bytes.Buffer
	// talks are the connections, and sentAt when each request was sent.
	talks  []*capturetest.Talk
	sentAt []time.Duration
	sent   []string
}

// success, failure and trouble are the three procedures, in short intervals. What the agent
// does in trouble is what a config with faults makes it do.
func success() []act {
	var acts []act
	for id := range int64(10) {
		acts = append(acts, act{id: id + 1, timeout: 5 * time.Second, interval: 500 * ms})
	}
	return acts
}

func failure() []act {
	acts := success()
	acts[2].id, acts[2].reason = 100, protocol.OutOfOrder
	acts[8].timeout, acts[8].reason, acts[8].after = 2*time.Second, protocol.TimeoutTooShort, 900*time.Microsecond
	acts[9].timeout, acts[9].reason = 10*ms, protocol.TimeoutTooShort
	return acts
}

func trouble() []act {
	acts := success()
	acts[3].silent = true
	acts[5].after = 5800 * ms
	acts[7].reset = true
	return acts
}

// twice is a client that waits every interval twice, against an agent that answers at once.
func twice() []act {
	acts := failure()
	for i := range acts {
		acts[i].kept = 2*acts[i].interval + 900*time.Microsecond
	}
	return acts
}

// perform plays the acts and returns the packets.
func (s *scene) perform() []capturetest.Packet {
	if !s.client.IsValid() {
		s.client = client
	}
	if !s.agent.IsValid() {
		s.agent = agent
	}
	if s.ahead {
		return s.performAhead()
	}
	var talk *capturetest.Talk
	port := s.client.Port()
	for i, a := range s.acts {
		if talk == nil {
			end := netip.AddrPortFrom(s.client.Addr(), port)
			port++
			talk = s.connect(end)
		}
		done := s.act(talk, a, i)
		leaves := s.plain || s.apart && i%3 == 2 && a.after < a.timeout
		if leaves && !a.reset {
			talk.Close(done+100*time.Microsecond, talk.Client)
		}
		if leaves || a.reset {
			talk = nil
		}
		wait := a.interval
		if a.kept > 0 {
			wait = a.kept
		}
		s.at = done + wait + 300*time.Microsecond
	}
	if talk != nil {
		talk.Close(s.at, talk.Client)
	}
	return capturetest.Merge(s.talks...)
}

// connect opens a connection.
func (s *scene) connect(client netip.AddrPort) *capturetest.Talk {
	port := uint32(client.Port())
	talk := capturetest.NewTalk(client, s.agent, began, 1000*port, 77*port)
	talk.NoID, talk.NoClock, talk.Way = s.noID, s.noClock, s.way
	s.talks = append(s.talks, talk)
	if s.keyLog != nil {
		var err error
		if talk.TLS, err = capturetest.NewTLS(capturetest.TLSConfigs(s.keyLog)); err != nil {
			panic(err)
		}
	}
	if opened := talk.Open(s.at); s.way == nil && s.keyLog == nil {
		s.at += 200 * time.Microsecond
	} else {
		s.at = opened + time.Microsecond
	}
	return talk
}

// performAhead sends all requests at once, and has them answered one after the other.
func (s *scene) performAhead() []capturetest.Packet {
	talk := s.connect(s.client)
	all := ""
	for _, a := range s.acts {
		s.sent = append(s.sent, string(protocol.AppendRequest(nil, protocol.Request{StepID: a.id, Timeout: protocol.Seconds(a.timeout),
			Interval: protocol.Seconds(a.interval)})))
		s.sentAt = append(s.sentAt, s.at)
		all += s.sent[len(s.sent)-1]
	}
	if there := talk.Ask(s.at, all); s.way != nil {
		s.at = there
	}
	for i, a := range s.acts {
		s.at += max(a.after, 500*time.Microsecond)
		reply := protocol.Reply{StepID: &a.id, Reason: a.reason, End: i%10 == 9}
		talk.Reply(s.at, string(protocol.AppendReply(nil, reply)))
	}
	talk.Close(s.at+s.back()+ms, talk.Client)
	return talk.Packets()
}

// act plays one act and returns when the client is done with it.
func (s *scene) act(talk *capturetest.Talk, a act, i int) time.Duration {
	r := protocol.Request{StepID: a.id, Timeout: protocol.Seconds(a.timeout), Interval: protocol.Seconds(a.interval), Session: s.session}
	if s.session != "" {
		r.Req = protocol.NumReq(int64(i + 1))
	}
	text := string(protocol.AppendRequest(nil, r))
	if s.plain {
		text = strings.TrimSpace(text)
	}
	came := s.at
	if there := talk.Ask(s.at, text); s.way != nil {
		came = there
	}
	s.sent = append(s.sent, text)
	s.sentAt = append(s.sentAt, s.at)
	after := a.after
	if after == 0 {
		after = 500 * time.Microsecond
	}
	switch {
	case a.silent:
		return s.at + a.timeout
	case a.reset:
		talk.Reset(came+after, s.agent)
		return came + after + s.back()
	}
	reply := protocol.Reply{StepID: &a.id, Req: r.Req, Session: r.Session, Reason: a.reason, End: i%10 == 9}
	if a.reason != "" {
		reply.ErrorCode, reply.Detail = 1, "told to say so"
	}
	talk.Reply(came+after, string(protocol.AppendReply(nil, reply)))
	return min(came+after+s.back(), s.at+a.timeout)
}

// back is how long a reply takes to the client.
func (s *scene) back() time.Duration {
	if s.way == nil {
		return 0
	}
	return capturetest.MaxWay
}

// rules returns the options of an agent without a config.
func rules(t testing.TB) verify.Options {
	t.Helper()
	opts := rulesOf(t, sequence.New, mintimeout.New)
	opts.Simple = true
	return opts
}

// rulesOf returns the options of an agent with these validators, as package agentrules does, which links
// plugins too.
func rulesOf(t testing.TB, validators ...validator.Factory) verify.Options {
	t.Helper()
	c, err := config.Load(config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	var groups []agentjudge.Group
	for _, factory := range validators {
		v, err := factory(nil)
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, agentjudge.Local(agentjudge.Member{Name: fmt.Sprint(len(groups)), Validator: v}))
	}
	limits := agentjudge.Limits{Floor: c.Judging.Floor, Cap: c.Judging.Cap}
	chain := agentjudge.NewChain(agentjudge.Options{Generation: 1, Limits: limits}, groups...)
	return verify.Options{Judge: agentjudge.New(chain), Session: session.OptionsOf(c.Config), MessageBytes: c.Limits.MessageBytes,
		Rules: "the rules of a test", Late: verify.DefaultLate}
}

// withKeys returns options that have the secrets of a key log, which is nil for none.
func withKeys(t testing.TB, opts verify.Options, keyLog *bytes.Buffer) verify.Options {
	t.Helper()
	if keyLog == nil || keyLog.Len() == 0 {
		return opts
	}
	var err error
	if opts.Keys, err = tlsrecord.ReadKeyLog(bytes.NewReader(keyLog.Bytes()), "keys.log"); err != nil {
		t.Fatal(err)
	}
	return opts
}

// procedure returns the procedure of a step file with these steps.
func procedure(t testing.TB, steps string) *stepfile.Procedure {
	t.Helper()
	p, findings := stepfile.Parse("steps.json", []byte(`{"test_services":[`+steps+`]}`))
	if err := stepfile.AsError("steps.json", findings); err != nil {
		t.Fatal(err)
	}
	return &p
}

// judge judges packets in a file.
func judge(t testing.TB, packets []capturetest.Packet, opts verify.Options) *result.Report {
	t.Helper()
	return judgeFile(t, capturetest.File{}.Write(packets), opts)
}

func judgeFile(t testing.TB, file []byte, opts verify.Options) *result.Report {
	t.Helper()
	c, err := capture.Read(context.Background(), bytes.NewReader(file), "test.pcapng", capture.Options{Port: opts.Port, Wanted: opts.Wanted})
	if err != nil {
		t.Fatal(err)
	}
	r, err := verify.Capture(context.Background(), c, nil, opts)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// judgeAnything judges what may be no capture; nil when it is none.
func judgeAnything(t *testing.T, file []byte, opts verify.Options) *result.Report {
	t.Helper()
	c, broken := capture.Read(t.Context(), bytes.NewReader(file), "test.pcapng", capture.Options{Wanted: opts.Wanted})
	if c == nil {
		return nil
	}
	r, err := verify.Capture(t.Context(), c, broken, opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	_ = text(t, r)
	return r
}

// text returns the report as people see it.
func text(t testing.TB, r *result.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.Text(&b, func(s string) string { return s }); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// outcomes returns what became of each step, in a line.
func outcomes(r *result.Report) string {
	var all []string
	for _, s := range r.Sessions {
		for _, step := range s.Steps {
			all = append(all, fmt.Sprintf("%d %s %s", *step.StepID, step.Outcome, step.Verdict))
		}
	}
	return strings.Join(all, ", ")
}
