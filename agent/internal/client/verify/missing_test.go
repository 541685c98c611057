package verify_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// without returns the packets of which drop does not say so.
func without(packets []capturetest.Packet, drop func(p capturetest.Packet) bool) []capturetest.Packet {
	return slices.DeleteFunc(slices.Clone(packets), drop)
}

func fromAgent(p capturetest.Packet) bool { return p.From == agent }

// TestOneDirection: a capture of one direction is no silence of the other, whatever the client
// acknowledges.
func TestOneDirection(t *testing.T) {
	talk := capturetest.NewTalk(client, agent, began, 1000, 2000)
	talk.Open(0)
	talk.Ask(ms, `{"step_id":1,"timeout":5,"interval":0}`)
	talk.Reply(2*ms, `{"step_id":1,"error_code":0}`)
	talk.Close(5300*ms, client)
	r := judge(t, without(talk.Packets(), fromAgent), rules(t))
	expect(t, r, result.Inconclusive, "no packet of the agent is in the capture on the connection of 192.0.2.1:40000",
		"28 bytes are not in the capture", "step 1: its outcome is not in the capture")

	// Also where it did time out: the capture does not tell.
	quiet := capturetest.NewTalk(client, agent, began, 1000, 2000)
	quiet.Open(0)
	quiet.Ask(ms, `{"step_id":1,"timeout":5,"interval":0}`)
	quiet.Close(5300*ms, client)
	expect(t, judge(t, without(quiet.Packets(), fromAgent), rules(t)), result.Inconclusive, "no packet of the agent")
	expect(t, judge(t, without(talk.Packets(), func(p capturetest.Packet) bool { return p.From == client }), rules(t)),
		result.Inconclusive, "no packet of the client is in the capture")
}

// TestMissingLastPackets: that no reply came is only known as long as the connection shows it.
func TestMissingLastPackets(t *testing.T) {
	other := scene{client: netip.MustParseAddrPort("192.0.2.9:5000"), acts: success(), at: 2 * time.Second, session: "other"}
	s := scene{session: "bench-7", acts: trouble()[:4]}
	all := merged(s.perform(), other.perform())
	expect(t, judge(t, all, rules(t)), result.Inconclusive, "step 4 timed out: no reply came within 5 s")
	cut := without(all, func(p capturetest.Packet) bool {
		return (p.From == client || p.To == client) && p.Time.After(began.Add(1900*ms))
	})
	expect(t, judge(t, cut, rules(t)), result.Inconclusive, "step 4: its outcome is not in the capture",
		"before a reply or the end of its timeout of 5 s")
}

// TestSplitCaptures: what is there of a session that was cut in two is neither a fail nor a pass.
func TestSplitCaptures(t *testing.T) {
	s := scene{plain: true, acts: failure()}
	packets := s.perform()
	at := began.Add(900 * ms) // after two steps of ten
	first := without(packets, func(p capturetest.Packet) bool { return p.Time.After(at) })
	second := without(packets, func(p capturetest.Packet) bool { return !p.Time.After(at) })
	expect(t, judge(t, first, rules(t)), result.Inconclusive,
		"the capture shows 2 steps of 10, and not whether the client sent more; if that was all, say so with --steps or --record")
	expect(t, judge(t, second, rules(t)), result.Inconclusive,
		"the session began before the capture: its first step here is step 100", "8 steps, of which 5 passed")
	middle := without(packets, func(p capturetest.Packet) bool {
		return p.Time.After(at.Add(600*ms)) && p.Time.Before(at.Add(1600*ms))
	})
	expect(t, judge(t, middle, rules(t)), result.Inconclusive, "the replies show that 2 steps, or more, are missing in the capture")
}

// TestSentAhead: a client that declares no interval may send its requests before the replies.
func TestSentAhead(t *testing.T) {
	s := scene{ahead: true, acts: success()}
	for i := range s.acts {
		s.acts[i].interval = 0
	}
	expect(t, judge(t, s.perform(), rules(t)), result.Pass, "10 steps, of which 10 passed")
	s = scene{ahead: true, acts: success()}
	expect(t, judge(t, s.perform(), rules(t)), result.Fail, "the client went on 0.5 ms before it was done with the step")
}

// TestSlowLink: at the agent's side of a link whose delay varies, intervals seem too long or too
// short that the client kept.
func TestSlowLink(t *testing.T) {
	for _, noClock := range []bool{false, true} {
		for _, plain := range []bool{false, true} {
			s := scene{plain: plain, acts: trouble(), noClock: noClock}
			s.acts[5] = act{id: 6, timeout: 5 * time.Second, interval: 500 * ms}
			delays := []time.Duration{90 * ms, 5 * ms, 60 * ms}
			s.way = func(at time.Duration) time.Duration { return delays[int(at/(300*ms))%len(delays)] }
			if r := judge(t, s.perform(), rules(t)); r.Verdict == result.Fail {
				t.Errorf("clocks %t, a connection a step %t: %s", !noClock, plain, text(t, r))
			}
		}
	}
}

// TestRetransmissions: a packet that was sent again says nothing of when it was sent first. That it was
// the first, the count in the packets tells.
func TestRetransmissions(t *testing.T) {
	for _, counted := range []bool{true, false} {
		s := scene{session: "bench-7", acts: success(), noID: !counted}
		s.acts[4].kept = 750 * ms
		if counted {
			expect(t, judge(t, s.perform(), rules(t)), result.Fail, "fail: the interval of 0.5 s was overrun: the client waited 750.3 ms")
		} else {
			expect(t, judge(t, s.perform(), rules(t)), result.Inconclusive,
				"the interval of 0.5 s was overrun: the client waited 750.3 ms, unless earlier copies of the packets are missing")
		}
	}
}

// TestLateCopy: a reply that came in time, and of which only a copy that was sent again is in the
// capture, was not late.
func TestLateCopy(t *testing.T) {
	s := scene{session: "bench-7", acts: success(), noID: true}
	s.acts[9].after = 5200 * ms // so it seems
	expect(t, judge(t, s.perform(), rules(t)), result.Inconclusive,
		"step 10 got a reply 5.2 s after the request; whether in time, the capture does not show",
		"whether an earlier copy of it came in time, the packets do not show")
	s = scene{session: "bench-7", acts: success()}
	s.acts[9].after = 5200 * ms
	expect(t, judge(t, s.perform(), rules(t)), result.Pass, "step 10 timed out after 5 s: the reply came 5.2 s after the request, too late")
}

// TestStepsOfSeveralClients: where several clients without names share an address, a connection that is
// missing may be of any of them.
func TestStepsOfSeveralClients(t *testing.T) {
	var all []capturetest.Packet
	for i := range 2 {
		s := scene{plain: true, acts: failure(), at: time.Duration(i) * 40 * ms, client: netip.AddrPortFrom(client.Addr(), uint16(20000+100*i))}
		all = merged(all, s.perform())
	}
	expect(t, judge(t, all, rules(t)), result.Pass)
	for _, lost := range [][]uint16{{20001}, {20001, 20103}, {20002, 20004, 20104}, {20000, 20109}, {20003, 20005, 20006, 20103}} {
		r := judge(t, without(all, func(p capturetest.Packet) bool {
			return slices.Contains(lost, p.From.Port()) || slices.Contains(lost, p.To.Port())
		}), rules(t))
		if r.Verdict != result.Inconclusive {
			t.Errorf("without %v: %s", lost, text(t, r))
		}
	}
}

// TestTunnels: the tunnel of a packet is named.
func TestTunnels(t *testing.T) {
	for link, name := range map[capturetest.Link]string{
		capturetest.MPLS: "46 packets are encapsulated in MPLS, which is not decoded", capturetest.PPPoE: "encapsulated in PPPoE",
		capturetest.GRE: "encapsulated in GRE", capturetest.WiFi: "an unsupported link type, 802.11 (Wi-Fi in monitor mode)",
	} {
		s := scene{acts: success()}
		opts := rules(t)
		opts.Claims = []verify.Claim{verify.ClaimTimeout}
		r := judgeFile(t, capturetest.File{Link: link, Pcap: true}.Write(s.perform()), opts)
		expect(t, r, result.Inconclusive, name, "inconclusive: the capture is said to show a timeout")
	}
}
