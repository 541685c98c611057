package capturetest

import (
	"time"

	"pgregory.net/rapid"
)

// Meddle disturbs packets as a network does: it splits and duplicates them, retransmits
// overlapping parts, and swaps neighbours.
func Meddle(r *rapid.T, packets []Packet) []Packet {
	var out []Packet
	for _, p := range packets {
		if n := len(p.Payload); n > 1 && rapid.Bool().Draw(r, "cut") {
			first, second := Split(p, rapid.IntRange(1, n-1).Draw(r, "at"), 3*time.Microsecond)
			out = append(out, first, second)
			if rapid.Bool().Draw(r, "overlap") { // the second part again, from one byte before
				from := len(first.Payload) - 1
				again := p
				again.Payload, again.Seq = p.Payload[from:], p.Seq+uint32(from)
				again.Time = second.Time.Add(time.Microsecond)
				out = append(out, again)
			}
			continue
		}
		out = append(out, p)
		if rapid.Bool().Draw(r, "double") {
			twin := p
			twin.Time = p.Time.Add(2 * time.Microsecond)
			out = append(out, twin)
		}
	}
	Number(out)
	// Swapped neighbours exchange their times.
	for i := 1; i+1 < len(out); i++ {
		if out[i].From == out[i+1].From && out[i+1].Time.Sub(out[i].Time) < 30*time.Microsecond && rapid.Bool().Draw(r, "swap") {
			out[i], out[i+1] = out[i+1], out[i]
			out[i].Time, out[i+1].Time = out[i+1].Time, out[i].Time
			i++
		}
	}
	return out
}
