package verify_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
)

// A sound is a capture that shows all of what happened.
type sound struct {
	name    string
	packets []capturetest.Packet
	link    capturetest.Link
	// truth is what became of each request, by the client's host and the text; sizes is how
	// many steps each client of a host sent.
	truth map[string]result.Outcome
	sizes map[string]int
	// one is the scene when there is only one, for its record and its procedure.
	one *scene
	// vague says that even the whole capture does not tell everything, timely that every step is
	// judged, and comes to the agent when it is seen.
	vague, timely bool
	// crowd says that clients without names share an address.
	crowd bool
	// apart says that the packets are of two interfaces.
	apart bool
	// keyLog has the secrets of the clients that speak TLS.
	keyLog bytes.Buffer
}

// aSound draws a sound capture; number keeps the clients of two of them apart.
func aSound(t *testing.T, r *rand.Rand, number int) *sound {
	t.Helper()
	s := &sound{truth: map[string]result.Outcome{}, sizes: map[string]int{}}
	links := capturetest.Links()
	s.link = links[r.IntN(len(links))]
	clients := 1
	if r.IntN(4) == 0 {
		clients = 2 + r.IntN(3)
	}
	six, far := r.IntN(5) == 0, r.IntN(5) == 0
	s.vague = far // how long the way to the client is, it tells only in part
	s.timely = !far
	for i := range clients {
		one := aClient(r, byte(10+20*number+i), six)
		if r.IntN(3) == 0 {
			one.keyLog = &s.keyLog
		}
		if far {
			one.way = jitter(r)
		}
		one.at = time.Duration(r.IntN(900)) * ms
		s.add(t, one)
		if clients == 1 {
			s.one = one
		}
		if one.plain && one.settled() && r.IntN(2) == 0 { // another one at the same address
			s.one, s.crowd = nil, true
			port := one.client.Port() + uint16(1000*(1+r.IntN(20)))
			s.add(t, &scene{plain: true, acts: one.acts, at: time.Duration(r.IntN(900)) * ms, agent: one.agent,
				client: netip.AddrPortFrom(one.client.Addr(), port), noID: one.noID, noClock: one.noClock, way: one.way, keyLog: one.keyLog})
		}
	}
	s.name = fmt.Sprintf("%d clients, the last %s", clients, s.name)
	s.timely, s.vague = s.timely && !s.crowd, s.vague || s.crowd
	if number > 0 {
		return s
	}
	if number == 0 && r.IntN(8) == 0 {
		s.packets, s.apart, s.vague = stampedApart(r, s.packets), true, true
		s.timely, s.one = false, nil
		s.name += ", the sides captured on interfaces whose clocks differ"
	} else if r.IntN(8) == 0 {
		s.packets = seenTwice(s.packets)
		s.name += ", each packet seen on two interfaces"
	} else if !far && r.IntN(3) == 0 {
		s.packets = resend(r, s.packets)
		s.name += ", with packets sent again"
		s.vague = true
	}
	return s
}

// jitter draws how long packets are on their way.
func jitter(r *rand.Rand) func(time.Duration) time.Duration {
	period, phase := 0.6+3*r.Float64(), r.Float64()
	least := r.Float64() * 50
	swing := r.Float64() * (float64(capturetest.MaxWay/ms) - least) / 2
	return func(at time.Duration) time.Duration {
		wave := 1 + math.Sin(2*math.Pi*(at.Seconds()/period+phase))
		return time.Duration((least + swing*wave) * float64(ms))
	}
}

// add plays a scene.
func (s *sound) add(t *testing.T, one *scene) {
	t.Helper()
	s.packets = merged(s.packets, one.perform())
	host := one.client.Addr().String()
	s.timely = s.timely && one.settled()
	for i, a := range one.acts {
		s.truth[host+strings.TrimSpace(one.sent[i])] = became(a)
		if one.way != nil && a.timeout < 2*capturetest.MaxWay { // the reply was late for the client
			s.truth[host+strings.TrimSpace(one.sent[i])] = result.Late
		}
	}
	s.sizes[host] = len(one.acts)
	s.name = fmt.Sprintf("%q, plain %t, ahead %t, apart %t, far %t, TLS %t, %v",
		one.session, one.plain, one.ahead, one.apart, one.way != nil, one.keyLog != nil, one.client)
}

// settled reports whether every step gets its reply in time.
func (s *scene) settled() bool {
	return !slices.ContainsFunc(s.acts, func(a act) bool { return a.silent || a.reset || a.after >= a.timeout })
}

// became is what the capture of an act shows.
func became(a act) result.Outcome {
	switch {
	case a.silent:
		return result.TimedOut
	case a.reset:
		return result.Lost
	case a.after >= a.timeout:
		return result.Late
	case a.reason != "":
		return result.Refused
	default:
		return result.Passed
	}
}

// aClient draws a client and what it goes through.
func aClient(r *rand.Rand, host byte, six bool) *scene {
	s := &scene{client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, host}), uint16(20000+r.IntN(20000)))}
	if six {
		s.agent = netip.MustParseAddrPort("[2001:db8::2]:8080")
		s.client = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: host}), s.client.Port())
	}
	s.acts = []func() []act{success, failure, trouble}[r.IntN(3)]()
	s.noID, s.noClock = r.IntN(5) == 0, r.IntN(5) == 0
	switch r.IntN(5) {
	case 0:
		s.plain = true
	case 1:
		s.session = fmt.Sprintf("bench-%d", host)
		s.apart = true
	case 2:
		s.ahead = true
		s.acts = success()
		for i := range s.acts {
			s.acts[i].interval = 0
		}
	case 3:
		s.session = fmt.Sprintf("bench-%d", host)
	}
	for i := range s.acts {
		a := &s.acts[i]
		if s.plain && a.after > a.timeout { // its connection would be closed by then
			a.after, a.silent = 0, true
		}
		if r.IntN(6) == 0 && a.after == 0 {
			a.after = time.Duration(1+r.IntN(400)) * ms
			a.after = min(a.after, a.timeout/2)
		}
	}
	return s
}

// claimed adds what may be said of a capture besides what it shows.
func (s *sound) claimed(t *testing.T, r *rand.Rand, opts verify.Options) verify.Options {
	t.Helper()
	if s.one == nil {
		return opts
	}
	counts := map[result.Outcome]int{}
	for _, o := range s.truth {
		counts[o]++
	}
	if r.IntN(3) == 0 {
		opts.Claims = nil
		if counts[result.Passed] == len(s.one.acts) {
			opts.Claims = append(opts.Claims, verify.ClaimSuccess)
		} else {
			opts.Claims = append(opts.Claims, verify.ClaimFailure)
		}
		if counts[result.TimedOut]+counts[result.Late] > 0 {
			opts.Claims = append(opts.Claims, verify.ClaimTimeout)
		}
	}
	if r.IntN(3) == 0 {
		p := stepfile.Procedure{Name: "steps.json", SHA256: strings.Repeat("0", 64)}
		for _, a := range s.one.acts {
			p.Steps = append(p.Steps, stepfile.Step{ID: a.id, Timeout: a.timeout, Interval: a.interval})
		}
		opts.Procedure = &p
	}
	if r.IntN(3) == 0 && s.one.session != "" && !s.vague {
		log := s.one.story(t, time.Duration(r.IntN(2000))*ms)
		opts.Record = &log
	}
	return opts
}

// stampedApart has what the agent sends captured on another interface, with another clock.
func stampedApart(r *rand.Rand, packets []capturetest.Packet) []capturetest.Packet {
	by := time.Duration(r.IntN(190)-95) * ms
	out := slices.Clone(packets)
	for i := range out {
		if out[i].From.Port() == 8080 {
			out[i].Time, out[i].Face = out[i].Time.Add(by), 1
		}
	}
	return merged(nil, out)
}

// seenTwice has each packet captured where it comes in and where it goes out.
func seenTwice(packets []capturetest.Packet) []capturetest.Packet {
	twins := slices.Clone(packets)
	for i := range twins {
		twins[i].Time = twins[i].Time.Add(15 * time.Microsecond)
	}
	return merged(packets, twins)
}

func merged(a, b []capturetest.Packet) []capturetest.Packet {
	all := append(slices.Clone(a), b...)
	slices.SortStableFunc(all, func(a, b capturetest.Packet) int { return a.Time.Compare(b.Time) })
	return all
}

// resend has packets with bytes sent again though they came, as when their acknowledgement is
// lost on the way: the capture has both, and the acknowledgement of each.
func resend(r *rand.Rand, packets []capturetest.Packet) []capturetest.Packet {
	var again []capturetest.Packet
	for i, p := range packets {
		if len(p.Payload) == 0 || r.IntN(3) > 0 {
			continue
		}
		after := time.Duration(200+r.IntN(250)) * ms
		twin := p
		twin.Time, twin.Clock = p.Time.Add(after), p.Clock+uint32(after/ms)
		twin.Ack = standing(packets, p.To, p.From, twin.Time, p.Ack)
		ack := capturetest.Packet{Time: twin.Time.Add(capturetest.Delay), From: p.To, To: p.From, ACK: true, NoClock: p.NoClock}
		ack.Seq = standing(packets, p.To, p.From, ack.Time, p.Ack)
		ack.Ack = max(standing(packets, p.From, p.To, ack.Time, p.Seq), p.Seq+uint32(len(p.Payload)))
		ack.Clock = twin.Clock
		if ended(packets[i:], p, ack.Time) {
			continue
		}
		again = append(again, twin, ack)
	}
	all := merged(packets, again)
	capturetest.Number(all)
	return all
}

// standing is the number behind what a sender has sent until a time.
func standing(packets []capturetest.Packet, from, to netip.AddrPort, until time.Time, least uint32) uint32 {
	for _, p := range packets {
		if p.From == from && p.To == to && !p.Time.After(until) {
			end := p.Seq + uint32(len(p.Payload))
			if p.SYN || p.FIN {
				end++
			}
			least = max(least, end)
		}
	}
	return least
}

// ended reports whether the connection of a packet ends before a time.
func ended(packets []capturetest.Packet, p capturetest.Packet, until time.Time) bool {
	for _, q := range packets {
		same := q.From == p.From && q.To == p.To || q.From == p.To && q.To == p.From
		if same && (q.FIN || q.RST) && !q.Time.After(until) {
			return true
		}
	}
	return false
}
