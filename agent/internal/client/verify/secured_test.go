package verify_test

import (
	"bytes"
	"crypto/tls"
	"net/netip"
	"slices"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

const needsKeys = "the connection of 192.0.2.1:40000 speaks TLS: what was said cannot be judged without its keys; give --keylog FILE, or use the record"

// TestTLS: what was said over TLS is judged like all else with the keys, and not at all without them.
func TestTLS(t *testing.T) {
	for _, how := range []scene{{session: "bench-7"}, {}, {plain: true}, {session: "bench-7", apart: true}} {
		how.keyLog = &bytes.Buffer{}
		how.acts = failure()
		packets := how.perform()
		r := judge(t, packets, withKeys(t, rules(t), how.keyLog))
		expect(t, r, result.Pass,
			", decrypted with the key log",
			"step 9 was refused for its declared timeout after 0.9 ms; no timeout happened",
			"10 steps, of which 7 passed; steps 100, 9 and 10 were refused", "every interval was kept: 9 of 9")
		if r.Foreign > 0 || r.Connections != len(how.talks) {
			t.Errorf("%d connections, %d others", r.Connections, r.Foreign)
		}

		opts := rules(t)
		opts.Claims = nil
		r = judge(t, packets, opts)
		expect(t, r, result.Inconclusive, "inconclusive: "+needsKeys, "no step in the capture can be read")
		if r.Foreign > 0 || r.Connections != len(how.talks) || !slices.Equal(r.Agents, []netip.AddrPort{agent}) {
			t.Errorf("%d connections, %d others, agents %v", r.Connections, r.Foreign, r.Agents)
		}
		another := scene{keyLog: &bytes.Buffer{}}
		another.connect(client)
		expect(t, judge(t, packets, withKeys(t, opts, another.keyLog)), result.Inconclusive,
			"what was said cannot be judged: the key log has no secrets of it")
	}
	s := scene{session: "bench-7", acts: trouble(), keyLog: &bytes.Buffer{}}
	packets := s.perform()
	expect(t, judge(t, packets, withKeys(t, rules(t), s.keyLog)), result.Pass,
		"step 4 timed out: no reply came within 5 s, nor until the connection closed after",
		"step 6 timed out after 5 s: the reply came 5.8 s after the request, too late",
		"step 8 got no reply: the agent reset the connection after 0.5 ms")
}

// TestTLSWithoutALPN: such a connection is found by its secrets or by the port.
func TestTLSWithoutALPN(t *testing.T) {
	keyLog := &bytes.Buffer{}
	own, others := capturetest.TLSConfigs(keyLog)
	own.NextProtos, others.NextProtos = nil, nil
	talk := overTLS(t, own, others)
	talk.Ask(ms, `{"step_id":1,"timeout":5,"interval":0}`)
	talk.Reply(2*ms, `{"step_id":1,"error_code":0}`)
	talk.Close(3*ms, client)
	packets := talk.Packets()
	opts := rules(t)
	expect(t, judge(t, packets, opts), result.Inconclusive, "0 connections with an agent, 1 others",
		"no request to an agent is in the capture; if there should be one, name the agent's port with --port")
	expect(t, judge(t, packets, withKeys(t, opts, keyLog)), result.Inconclusive, "1 connection with an agent at 192.0.2.2:8080", "step 1 passed")
	opts.Port = agent.Port()
	expect(t, judge(t, packets, opts), result.Inconclusive, needsKeys)
	// Also where the capture has only what came after the handshake.
	late := slices.DeleteFunc(packets, func(p capturetest.Packet) bool { return p.Time.Before(began.Add(ms)) })
	expect(t, judge(t, late, withKeys(t, opts, keyLog)), result.Inconclusive,
		"what was said cannot be judged: its handshake is not in the capture, and its keys are found by that")
}

// overTLS opens a connection with these configs. The handshake may fail.
func overTLS(t *testing.T, own, others *tls.Config) *capturetest.Talk {
	t.Helper()
	talk := capturetest.NewTalk(client, agent, began, 1000, 2000)
	var err error
	if talk.TLS, err = capturetest.NewTLS(own, others); err != nil {
		t.Log(err)
	}
	talk.Open(0)
	return talk
}

// TestTLSBesidePlain: of an agent with plain connections too, what can be read is judged; a
// connection to another host is none of its own.
func TestTLSBesidePlain(t *testing.T) {
	plain := scene{session: "bench-7", acts: failure()}
	secured := scene{session: "bench-8", acts: success(), client: netip.MustParseAddrPort("192.0.2.3:41000"), keyLog: &bytes.Buffer{}}
	all := merged(plain.perform(), secured.perform())
	expect(t, judge(t, all, withKeys(t, rules(t), secured.keyLog)), result.Pass, "2 sessions with 20 steps, of which 17 passed")
	expect(t, judge(t, all, rules(t)), result.Inconclusive, "10 steps, of which 7 passed",
		"inconclusive: the connection of 192.0.2.3:41000 speaks TLS")
	failed := scene{session: "bench-7", acts: twice()}
	expect(t, judge(t, merged(failed.perform(), secured.perform()), rules(t)), result.Inconclusive, "speaks TLS")

	own, others := capturetest.TLSConfigs(nil)
	own.NextProtos, others.NextProtos = nil, nil
	web := capturetest.NewTalk(client, netip.MustParseAddrPort("192.0.2.9:443"), began, 1, 1)
	var err error
	if web.TLS, err = capturetest.NewTLS(own, others); err != nil {
		t.Fatal(err)
	}
	web.Open(0)
	again := scene{session: "bench-7", acts: failure()}
	expect(t, judge(t, merged(again.perform(), web.Packets()), rules(t)), result.Pass, "1 connection with an agent at 192.0.2.2:8080, 1 others")
}

// TestTLSSameName: clients with other identities may use one name, each for a session of its own.
func TestTLSSameName(t *testing.T) {
	keyLog := &bytes.Buffer{}
	for _, others := range []*bytes.Buffer{nil, keyLog} {
		one := scene{session: "bench-7", acts: failure(), keyLog: keyLog}
		two := scene{session: "bench-7", acts: success(), client: netip.MustParseAddrPort("192.0.2.3:41000"), at: 700 * ms, keyLog: others}
		packets := merged(one.perform(), two.perform())
		expect(t, judge(t, packets, withKeys(t, rules(t), keyLog)), result.Inconclusive, "the validators say fail out_of_order",
			"; but over TLS the agent may have several sessions of this name")
	}
}

// TestTLSTampered: a record that was changed, with the checksum of TCP, is not supported.
func TestTLSTampered(t *testing.T) {
	s := scene{session: "bench-7", acts: failure(), keyLog: &bytes.Buffer{}}
	packets := s.perform()
	opts := withKeys(t, rules(t), s.keyLog)
	last := -1
	for i, p := range packets {
		if p.From == agent && len(p.Payload) > 0 && !p.FIN {
			last = i
		}
	}
	p := &packets[last]
	p.Payload = bytes.Clone(p.Payload)
	p.Payload[len(p.Payload)/2] ^= 1
	expect(t, judge(t, packets, opts), result.Fail, "fail: of what the agent sent on the connection of 192.0.2.1:40000",
		"cannot be decrypted, from packet", "its bytes are not those that the sender encrypted")
}

// TestTLSLost: what is behind a missing packet cannot be decrypted, and is not said to be no reply.
func TestTLSLost(t *testing.T) {
	s := scene{session: "bench-7", acts: success(), keyLog: &bytes.Buffer{}}
	packets := s.perform()
	opts := withKeys(t, rules(t), s.keyLog)
	for i, p := range packets {
		if len(p.Payload) == 0 || p.Time.Before(began.Add(600*ms)) || p.FIN {
			continue
		}
		r := judge(t, slices.Delete(slices.Clone(packets), i, i+1), opts)
		expect(t, r, result.Inconclusive, "bytes are not in the capture", "step 1 passed",
			"packets before them are missing, and TLS counts its records")
		if t.Failed() {
			t.Fatalf("without packet %d", i+1)
		}
	}
}

// TestTLSHandshakes: no step is sent in a handshake that fails.
func TestTLSHandshakes(t *testing.T) {
	plain := scene{session: "bench-7", acts: failure(), client: netip.MustParseAddrPort("192.0.2.3:41000")}
	beside := plain.perform()

	own, others := capturetest.TLSConfigs(nil)
	others.MinVersion, own.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
	talk := overTLS(t, own, others)
	talk.Reset(ms, agent)
	expect(t, judge(t, merged(beside, talk.Packets()), rules(t)), result.Pass,
		`note: the TLS handshake of 192.0.2.1:40000 failed: the agent said "protocol version not supported"; no step was sent`)

	half := capturetest.NewTalk(client, agent, began, 1000, 2000)
	half.Open(0)
	hello, _ := talk.TLS.Handshake()
	half.Ask(ms, string(hello[:100]))
	half.Close(2*ms, agent)
	expect(t, judge(t, merged(beside, half.Packets()), rules(t)), result.Pass,
		"note: the TLS handshake of 192.0.2.1:40000 was not completed; no step was sent")

	keyLog := &bytes.Buffer{}
	own, others = capturetest.TLSConfigs(keyLog)
	others.ClientAuth = tls.RequireAnyClientCert
	refused := overTLS(t, own, others)
	refused.Reset(ms, agent)
	expect(t, judge(t, merged(beside, refused.Packets()), withKeys(t, rules(t), keyLog)), result.Pass,
		"note: the agent ended TLS on the connection of 192.0.2.1:40000: certificate required")
}

// TestTLSAtPlainPort: a ClientHello that is answered in plain is a message that is none.
func TestTLSAtPlainPort(t *testing.T) {
	own, others := capturetest.TLSConfigs(nil)
	shaken, err := capturetest.NewTLS(own, others)
	if err != nil {
		t.Fatal(err)
	}
	hello, _ := shaken.Handshake()
	talk := capturetest.NewTalk(client, agent, began, 1000, 2000)
	talk.Open(0)
	talk.Ask(ms, string(hello))
	talk.Reply(2*ms, `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"this looks like a TLS ClientHello"}`+"\n")
	talk.Close(3*ms, agent)
	plain := scene{session: "bench-7", acts: failure(), client: netip.MustParseAddrPort("192.0.2.3:41000")}
	expect(t, judge(t, merged(plain.perform(), talk.Packets()), rules(t)), result.Pass, "was refused as no message")
}

// TestPlainAtTLSPort: a request in plain that is refused because the port speaks TLS was not judged.
func TestPlainAtTLSPort(t *testing.T) {
	talk := capturetest.NewTalk(client, agent, began, 1000, 2000)
	talk.Open(0)
	talk.Ask(ms, `{"step_id":1,"timeout":5,"interval":0,"session":"bench-7"}`+"\n")
	talk.Reply(2*ms, `{"step_id":null,"error_code":1,"reason":"bad_message","detail":"this port speaks TLS; connect with TLS"}`+"\n")
	talk.Close(3*ms, agent)
	expect(t, judge(t, talk.Packets(), rules(t)), result.Inconclusive, "note: a reply to no request",
		"step 1 got no reply: the agent closed the connection after 2 ms")
}
