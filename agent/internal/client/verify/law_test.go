package verify_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/verify"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/pacing"
	"github.com/stepagent/stepagent/plugins/sequence"
)

// TestLaw: whatever packets a sound capture lost, wherever it was cut and split, however its
// packets were swapped or merged with those of another, it never fails, it passes only of what
// is still shown, and what it calls a timeout was one. STEPAGENT_LAW_SEED chooses other captures.
func TestLaw(t *testing.T) {
	variants, seed := soaktest.Repetitions(t, 10000, 100), lawSeed(t)
	opts, byTime := rules(t), rulesOf(t, sequence.New, mintimeout.New, pacing.New)
	passed := 0
	for i := range variants {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		if lawHolds(t, r, opts, byTime) == result.Pass {
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

func lawSeed(t *testing.T) uint64 {
	t.Helper()
	const name = "STEPAGENT_LAW_SEED"
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv(name), "1"), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return seed
}

// lawHolds makes one variant and checks it.
func lawHolds(t *testing.T, r *rand.Rand, opts, byTime verify.Options) result.Verdict {
	t.Helper()
	s := aSound(t, r, 0)
	if s.timely && r.IntN(2) == 0 {
		opts = byTime
		s.name += ", judged by times"
	}
	opts = s.claimed(t, r, opts)
	keyLog := &s.keyLog
	if r.IntN(4) == 0 { // it is lost
		s.vague, keyLog = s.vague || keyLog.Len() > 0, nil
	}
	opts = withKeys(t, opts, keyLog)
	file := capturetest.File{Link: s.link, Pcap: r.IntN(2) == 0, Micro: r.IntN(4) == 0, Big: r.IntN(4) == 0}
	if s.apart {
		file.Pcap, file.Faces = false, 2
	}
	whole := judgeFile(t, file.Write(s.packets), opts)
	if whole.Verdict == result.Fail || whole.Verdict == result.Inconclusive && !s.vague {
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
		if keyLog != nil {
			_, _ = keyLog.ReadFrom(&other.keyLog)
			opts = withKeys(t, opts, keyLog)
		}
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
func checkLaw(t *testing.T, got *result.Report, truth map[string]result.Outcome, sizes map[string]int) {
	t.Helper()
	if got.Verdict == result.Fail {
		t.Error("it is a fail")
	}
	shown := map[string]int{}
	for _, s := range got.Sessions {
		for _, step := range s.Steps {
			host := s.Client.Addr().String()
			shown[host]++
			was, known := truth[host+step.Request.Text]
			timeout := func(o result.Outcome) bool { return o == result.TimedOut || o == result.Late }
			if timeout(step.Outcome) && !timeout(was) {
				t.Errorf("%s: it is called %s, and was %s", step.Sentence, step.Outcome, was)
			}
			// That a late reply is missing makes no other case of it.
			if got.Verdict == result.Pass && (!known || was != step.Outcome && !(timeout(was) && step.Outcome == result.TimedOut)) {
				t.Errorf("%s: it is a pass, and was %s", step.Sentence, was)
			}
		}
	}
	for host, n := range shown {
		if got.Verdict == result.Pass && n%sizes[host] != 0 { // a whole run may be missing
			t.Errorf("%d steps of runs of %d of %s are a pass", n, sizes[host], host)
		}
	}
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
		return keep(func(i int, p capturetest.Packet) bool { return i < from || i >= to || p.From != some.From }), "lost a range of one side"
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
