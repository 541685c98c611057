package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Result is the result of a load, or of a load so far.
type Result struct {
	// Clients and Rate are those of the options.
	Clients int
	Rate    float64
	// Elapsed is the duration of the load: up to the last counted reply if that came after
	// Options.Duration, and up to its end if it was ended early.
	Elapsed time.Duration
	// Steps is how many steps got the expected reply, Sessions how many sessions were performed
	// from their first step to their last.
	Steps    uint64
	Sessions uint64
	// Finishing is how many further steps got the expected reply after the end of the load, to
	// complete each session. They count in neither Steps nor latencies.
	Finishing uint64
	// Made is how many connections were made.
	Made uint64
	// Unsent is how many steps were due but not sent, because clients still waited for earlier
	// replies. Always 0 in a closed loop.
	Unsent uint64

	last     time.Time // of the last counted reply
	latency  *hdrhistogram.Histogram
	troubles [kinds]uint64
	examples [kinds]string
}

// A Trouble is a kind of failure that occurred.
type Trouble struct {
	Class Class  `json:"class"`
	Kind  string `json:"kind"`
	Count uint64 `json:"count"`
	// Example describes the first occurrence. It contains what the agent sent, as a Go string.
	Example string `json:"example"`
}

// Throughput returns Steps per second.
func (r Result) Throughput() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Steps) / r.Elapsed.Seconds()
}

// Latency returns a percentile of the latencies, 100 for the longest; 0 if there are none.
func (r Result) Latency(percent float64) time.Duration {
	if r.Steps == 0 {
		return 0
	}
	return time.Duration(r.latency.ValueAtPercentile(percent))
}

// Troubles returns all kinds of failure that occurred.
func (r Result) Troubles() []Trouble {
	var all []Trouble
	for k := right + 1; int(k) < kinds; k++ {
		if n := r.troubles[k]; n > 0 {
			all = append(all, Trouble{Class: descriptions[k].class, Kind: descriptions[k].name, Count: n, Example: r.examples[k]})
		}
	}
	return all
}

// Count returns how many failures of the class occurred.
func (r Result) Count(class Class) uint64 {
	n := uint64(0)
	for _, t := range r.Troubles() {
		if t.Class == class {
			n += t.Count
		}
	}
	return n
}
