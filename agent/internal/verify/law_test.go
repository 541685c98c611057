package verify_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/capturetest"
	"github.com/stepagent/stepagent/agent/internal/stepfile"
	"github.com/stepagent/stepagent/agent/internal/verify"
)

// lawVariants is how many captures TestLaw makes, unless STEPAGENT_LAW_VARIANTS says another
// number; STEPAGENT_LAW_SEED begins elsewhere.
const lawVariants = 400

// TestLaw: whatever packets a sound capture lost, wherever it was cut and split, however its
// packets were swapped or merged with those of another, it never fails, it passes only of what
// is still shown, and what it calls a timeout was one.
func TestLaw(t *testing.T) {
	variants, seed := setting(t, "STEPAGENT_LAW_VARIANTS", lawVariants), setting(t, "STEPAGENT_LAW_SEED", 1)
	path := filepath.Join(t.TempDir(), "stepagent.toml")
	if err := os.WriteFile(path, []byte(paced), 0o600); err != nil {
		t.Fatal(err)
	}
	opts, byTime := rules(t), rulesOf(t, path)
	passed := 0
	for i := range variants {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(i)))
		if lawHolds(t, r, opts, byTime) == verify.Pass {
			passed++
		}
		if t.Failed() {
			t.Fatalf("variant %d of seed %d", i, seed)
		}
	}
	if passed == 0 {
		t.Error("no variant passes, so that nothing is said of those that do")
	}
	t.Logf("%d of %d variants pass", passed, variants)
}

// paced is the config of an agent that judges by times as well.
const paced = `
[[validators]]
name = "sequence"
[[validators]]
name = "min_timeout"
[[validators]]
name = "pacing"
`

func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// lawHolds makes one variant and checks it.
func lawHolds(t *testing.T, r *rand.Rand, opts, byTime verify.Options) verify.Verdict {
	t.Helper()
	s := aSound(t, r, 0)
	if s.timely && r.IntN(2) == 0 {
		opts = byTime
		s.name += ", judged by times"
	}
	opts = s.claimed(t, r, opts)
	file := capturetest.File{Link: s.link, Pcap: r.IntN(2) == 0, Micro: r.IntN(4) == 0, Big: r.IntN(4) == 0}
	whole := judgeFile(t, file.Write(s.packets), opts)
	if whole.Verdict == verify.Fail || whole.Verdict == verify.Inconclusive && !s.vague {
		t.Errorf("%s is not sound:\n%s", s.name, text(t, whole))
		return whole.Verdict
	}
	truth, sizes := s.truth, s.sizes
	packets, did := s.packets, []string{}
	for range 1 + r.IntN(3) {
		var what string
		packets, what = lose(r, packets)
		did = append(did, what)
	}
	if other := aSound(t, r, 1); r.IntN(5) == 0 && (other.timely || opts.Simple) {
		packets = merged(packets, other.packets)
		truth, sizes = join(truth, other.truth), join(sizes, other.sizes)
		opts.Procedure, opts.Record, opts.Claims = nil, nil, nil // they are of one
		did = append(did, "merged with "+other.name)
	}
	got := judgeFile(t, file.Write(packets), opts)
	checkLaw(t, got, truth, sizes)
	if t.Failed() {
		t.Logf("%s, %s:\n%s", s.name, strings.Join(did, ", "), text(t, got))
	}
	return got.Verdict
}

func join[V any](a, b map[string]V) map[string]V {
	all := map[string]V{}
	for _, m := range []map[string]V{a, b} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// checkLaw compares what is said of a variant with what happened.
func checkLaw(t *testing.T, got *verify.Report, truth map[string]verify.Outcome, sizes map[string]int) {
	t.Helper()
	if got.Verdict == verify.Fail {
		t.Error("it is a fail")
	}
	shown := map[string]int{}
	for _, s := range got.Sessions {
		for _, step := range s.Steps {
			host := s.Client.Addr().String()
			shown[host]++
			was, known := truth[host+step.Request.Text]
			timeout := func(o verify.Outcome) bool { return o == verify.TimedOut || o == verify.Late }
			if timeout(step.Outcome) && !timeout(was) {
				t.Errorf("%s: it is called %s, and was %s", step.Sentence, step.Outcome, was)
			}
			// That a late reply is missing makes no other case of it.
			if got.Verdict == verify.Pass && (!known || was != step.Outcome && !(timeout(was) && step.Outcome == verify.TimedOut)) {
				t.Errorf("%s: it is a pass, and was %s", step.Sentence, was)
			}
		}
	}
	for host, n := range shown {
		if got.Verdict == verify.Pass && n != sizes[host] {
			t.Errorf("%d of %d steps of %s are a pass", n, sizes[host], host)
		}
	}
}

// A sound is a capture that shows all of what happened.
type sound struct {
	name    string
	packets []capturetest.Packet
	link    capturetest.Link
	// truth is what became of each request, by the client's host and the text; sizes is how
	// many steps each client sent.
	truth map[string]verify.Outcome
	sizes map[string]int
	// one is the scene when there is only one, for its record and its procedure.
	one *scene
	// vague says that even the whole capture does not tell everything, timely that every step is
	// judged, and comes to the agent when it is seen.
	vague, timely bool
}

// aSound draws a sound capture; number keeps the clients of two of them apart.
func aSound(t *testing.T, r *rand.Rand, number int) *sound {
	t.Helper()
	s := &sound{truth: map[string]verify.Outcome{}, sizes: map[string]int{}}
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
		if far {
			one.way = jitter(r)
		}
		one.at = time.Duration(r.IntN(900)) * ms
		s.add(t, one)
		if clients == 1 {
			s.one = one
		}
	}
	s.name = fmt.Sprintf("%d clients, the last %s", clients, s.name)
	if number > 0 {
		return s
	}
	if r.IntN(8) == 0 {
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
	for i, a := range one.acts {
		s.timely = s.timely && !a.reset && !a.silent && a.after < a.timeout
		s.truth[host+strings.TrimSpace(one.sent[i])] = became(a)
		if one.way != nil && a.timeout < 2*capturetest.MaxWay { // the reply was late for the client
			s.truth[host+strings.TrimSpace(one.sent[i])] = verify.Late
		}
	}
	s.sizes[host] += len(one.acts)
	s.name = fmt.Sprintf("%q, plain %t, ahead %t, apart %t, far %t, %v",
		one.session, one.plain, one.ahead, one.apart, one.way != nil, one.client)
}

// became is what the capture of an act shows.
func became(a act) verify.Outcome {
	switch {
	case a.silent:
		return verify.TimedOut
	case a.reset:
		return verify.Lost
	case a.after >= a.timeout:
		return verify.Late
	case a.reason != "":
		return verify.Refused
	default:
		return verify.Passed
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
	counts := map[verify.Outcome]int{}
	for _, o := range s.truth {
		counts[o]++
	}
	if r.IntN(3) == 0 {
		opts.Claims = nil
		if counts[verify.Passed] == len(s.one.acts) {
			opts.Claims = append(opts.Claims, verify.ClaimSuccess)
		} else {
			opts.Claims = append(opts.Claims, verify.ClaimFailure)
		}
		if counts[verify.TimedOut]+counts[verify.Late] > 0 {
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

// lose does to packets what a capture may do, and says what.
func lose(r *rand.Rand, packets []capturetest.Packet) ([]capturetest.Packet, string) {
	n := len(packets)
	if n < 2 {
		return packets, "nothing"
	}
	some := packets[r.IntN(n)]
	from := r.IntN(n)
	to := from + 1 + r.IntN(n-from)
	keep := func(f func(i int, p capturetest.Packet) bool) []capturetest.Packet {
		var rest []capturetest.Packet
		for i, p := range packets {
			if f(i, p) {
				rest = append(rest, p)
			}
		}
		return rest
	}
	same := func(p capturetest.Packet) bool {
		return p.From == some.From && p.To == some.To || p.From == some.To && p.To == some.From
	}
	switch r.IntN(12) {
	case 0, 1:
		percent := []int{2, 10, 30, 60}[r.IntN(4)]
		return keep(func(int, capturetest.Packet) bool { return r.IntN(100) >= percent }), fmt.Sprintf("lost %d %%", percent)
	case 2:
		return keep(func(_ int, p capturetest.Packet) bool { return p.From != some.From }), "lost one side of a connection"
	case 3:
		port := some.From.Port()
		return keep(func(_ int, p capturetest.Packet) bool { return (p.From.Port() == 8080) != (port == 8080) }), "lost one direction"
	case 4:
		return keep(func(i int, _ capturetest.Packet) bool { return i < from || i >= to }), fmt.Sprintf("lost %d to %d", from+1, to)
	case 5:
		return keep(func(i int, p capturetest.Packet) bool { return i < from || i >= to || p.From != some.From }), "lost a stretch of one side"
	case 6:
		return packets[:to], fmt.Sprintf("ends after %d", to)
	case 7:
		return packets[from:], fmt.Sprintf("begins with %d", from+1)
	case 8:
		return keep(func(_ int, p capturetest.Packet) bool { return !same(p) }), "lost a connection"
	case 9:
		return keep(func(_ int, p capturetest.Packet) bool { return len(p.Payload) > 0 || p.SYN || p.FIN || r.IntN(3) == 0 }), "lost acknowledgements"
	case 10:
		seen := map[string]bool{}
		return keep(func(_ int, p capturetest.Packet) bool {
			key := fmt.Sprint(p.From, p.To, p.Seq, len(p.Payload))
			first := !seen[key]
			seen[key] = true
			return !first || len(p.Payload) == 0 || r.IntN(2) == 0 || !copied(packets, p)
		}), "lost first copies"
	default:
		out := slices.Clone(packets)
		for range 1 + r.IntN(8) {
			i := r.IntN(n - 1)
			out[i], out[i+1] = out[i+1], out[i]
			if out[i].Time.Sub(out[i+1].Time).Abs() < ms { // else the file says in which order they were
				out[i].Time, out[i+1].Time = out[i+1].Time, out[i].Time
			}
		}
		return out, "swapped neighbours"
	}
}

// copied reports whether there is another copy of a packet.
func copied(packets []capturetest.Packet, p capturetest.Packet) bool {
	n := 0
	for _, q := range packets {
		if q.From == p.From && q.To == p.To && q.Seq == p.Seq && len(q.Payload) == len(p.Payload) {
			n++
		}
	}
	return n > 1
}
