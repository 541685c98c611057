package verify_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
	"github.com/stepagent/stepagent/agent/internal/testkit/capturetest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

// aScene draws a client and what it goes through.
func aScene(r *rapid.T) scene {
	s := scene{acts: rapid.SampledFrom([]func() []act{success, failure, trouble, twice}).Draw(r, "acts")()}
	switch rapid.SampledFrom([]string{"session", "connection", "plain"}).Draw(r, "how") {
	case "session":
		s.session = "bench-7"
	case "plain":
		s.plain = true
		for i := range s.acts {
			if s.acts[i].after > s.acts[i].timeout { // its connection would be closed by then
				s.acts[i].after, s.acts[i].silent = 0, true
			}
		}
	}
	return s
}

// TestNetworkDoesNotMatter: packets cut up, doubled, sent again and out of order give the same
// findings.
func TestNetworkDoesNotMatter(t *testing.T) {
	opts := rules(t)
	rapid.Check(t, func(r *rapid.T) {
		s := aScene(r)
		if rapid.Bool().Draw(r, "TLS") {
			s.keyLog = &bytes.Buffer{}
		}
		packets := s.perform()
		opts := withKeys(t, opts, s.keyLog)
		want, got := judge(t, packets, opts), judge(t, capturetest.Meddle(r, packets), opts)
		if got.Verdict != want.Verdict || outcomes(got) != outcomes(want) {
			r.Fatalf("got %s\nwant %s", text(t, got), text(t, want))
		}
	})
}

// TestLostPacket: a capture that lacks a packet is inconclusive, or says the same as the whole.
func TestLostPacket(t *testing.T) {
	opts := rules(t)
	const parts = 3
	tried, n := soaktest.Repetitions(t, 100*parts, 1), 0 // how many parts of the packets, and a packet's number
	for _, acts := range []func() []act{success, failure, trouble, twice} {
		for _, how := range []scene{{session: "bench-7"}, {}, {plain: true}} {
			how.acts = acts()
			if how.plain {
				how.acts[5].after = 0
			}
			packets := how.perform()
			want := judge(t, packets, opts).Verdict
			for i := range packets {
				if n++; n%parts >= tried {
					continue
				}
				r := judge(t, slices.Delete(slices.Clone(packets), i, i+1), opts)
				if r.Verdict != want && r.Verdict != result.Inconclusive {
					t.Fatalf("whole it is a %s, and without packet %d:\n%s", want, i+1, text(t, r))
				}
				if len(packets[i].Payload) > 0 && r.Verdict == result.Pass {
					t.Fatalf("without packet %d, which has bytes, it is a pass:\n%s", i+1, text(t, r))
				}
			}
		}
	}
}

// TestTampering: a code that was changed, with its checksum or without, is not supported.
func TestTampering(t *testing.T) {
	opts := rules(t)
	rapid.Check(t, func(r *rapid.T) {
		s := aScene(r)
		s.acts = failure()
		packets := s.perform()
		var replies []int
		for i, p := range packets {
			if p.From == agent && len(p.Payload) > 0 {
				replies = append(replies, i)
			}
		}
		i := rapid.SampledFrom(replies).Draw(r, "reply")
		p := &packets[i]
		old, other := `"error_code":0`, `"error_code":1`
		if bytes.Contains(p.Payload, []byte(other)) {
			old, other = other, old
		}
		changed := bytes.Replace(p.Payload, []byte(old), []byte(other), 1)
		if rapid.Bool().Draw(r, "with its checksum") {
			p.Payload = changed
			expectVerdict(r, judge(t, packets, opts), result.Fail)
			return
		}
		file := capturetest.File{}.Write(packets)
		at := strings.Index(string(file), string(p.Payload))
		copy(file[at:], changed)
		expectVerdict(r, judgeFile(t, file, opts), result.Fail)
	})
}

// expectVerdict fails unless the verdict is the one that is wanted.
func expectVerdict(r *rapid.T, got *result.Report, want result.Verdict) {
	if got.Verdict != want {
		r.Fatalf("the verdict is %s, want %s: %v", got.Verdict, want, got.Summary)
	}
}

// TestMovedTime: the time of a packet that carries a message cannot be changed by more than
// the tolerances unnoticed.
func TestMovedTime(t *testing.T) {
	opts := rules(t)
	rapid.Check(t, func(r *rapid.T) {
		s := aScene(r)
		s.acts = success()
		packets := s.perform()
		var messages []int
		for i, p := range packets {
			if len(p.Payload) > 0 {
				messages = append(messages, i)
			}
		}
		i := rapid.SampledFrom(messages).Draw(r, "message")
		by := time.Duration(rapid.Int64Range(int64(200*ms), int64(20*time.Second)).Draw(r, "by"))
		if rapid.Bool().Draw(r, "back") {
			by = -by
		}
		packets[i].Time = packets[i].Time.Add(by)
		if got := judge(t, packets, opts); got.Verdict == result.Pass {
			r.Fatalf("packet %d moved by %s is a pass:\n%s", i+1, by, text(t, got))
		}
		// The same with the file put in order again.
		slices.SortStableFunc(packets, func(a, b capturetest.Packet) int { return a.Time.Compare(b.Time) })
		if got := judge(t, packets, opts); got.Verdict == result.Pass {
			r.Fatalf("packet %d moved by %s and sorted is a pass:\n%s", i+1, by, text(t, got))
		}
	})
}

// TestRemovedReply: without a reply, and with the numbers of the packets after it mended, a
// step was not answered.
func TestRemovedReply(t *testing.T) {
	opts := rules(t)
	s := scene{session: "bench-7", acts: success()}
	s.acts[4].silent = true // that is what mending comes to: but the client does not wait
	packets := s.perform()
	for i := range packets {
		if packets[i].Time.After(began.Add(4 * time.Second)) {
			packets[i].Time = packets[i].Time.Add(-5 * time.Second)
			packets[i].Clock -= 5000
		}
	}
	expect(t, judge(t, packets, opts), result.Fail, "step 5 got no reply: the client went on after 500.3 ms",
		"the client went on 500.3 ms after the request, and had declared to wait 5 s")
}

func FuzzCapture(f *testing.F) {
	opts := rules(f)
	for _, acts := range [][]act{success(), failure(), trouble()} {
		s := scene{session: "bench-7", acts: acts}
		f.Add(capturetest.File{}.Write(s.perform()))
	}
	secured := scene{session: "bench-7", acts: failure(), keyLog: &bytes.Buffer{}}
	f.Add(capturetest.File{}.Write(secured.perform()))
	opts = withKeys(f, opts, secured.keyLog)
	f.Fuzz(func(t *testing.T, file []byte) {
		r := judgeAnything(t, file, opts)
		if r != nil && r.Verdict == result.Pass && len(r.Sessions)+len(r.Outside) == 0 {
			t.Error("nothing is a pass")
		}
	})
}

// TestAnyBytes: a file in which bytes were changed anywhere gets a report, or an error.
func TestAnyBytes(t *testing.T) {
	opts := rules(t)
	var files [][]byte
	for _, s := range []scene{{session: "bench-7", acts: trouble()}, {plain: true, acts: failure()}} {
		packets := s.perform()
		files = append(files, capturetest.File{}.Write(packets), capturetest.File{Pcap: true, Link: capturetest.Ethernet}.Write(packets))
	}
	rapid.Check(t, func(r *rapid.T) {
		file := slices.Clone(rapid.SampledFrom(files).Draw(r, "file"))
		for range rapid.IntRange(1, 8).Draw(r, "changes") {
			file[rapid.IntRange(0, len(file)-1).Draw(r, "at")] = rapid.Byte().Draw(r, "to")
		}
		judgeAnything(t, file, opts)
	})
}
