package load

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Result is what a load came to, or has come to so far.
type Result struct {
	// Clients and Rate are those of the options.
	Clients int
	Rate    float64
	// Elapsed is the time for which steps were due, or up to the last reply that counts where
	// that came later; where the load was ended before its time, up to its end.
	Elapsed time.Duration
	// Steps is how many steps got the reply that they must get, Sessions how many sessions
	// were performed from their first step to their last.
	Steps    uint64
	Sessions uint64
	// Finishing is how many steps more were sent after the end of the load, to take each
	// session to its last step. Nothing else of them is counted where they went well.
	Finishing uint64
	// Made is how many connections were made.
	Made uint64
	// Unsent is how many steps were due and were not sent because clients still waited for
	// earlier replies at the end. Always 0 in a closed loop.
	Unsent uint64

	last     time.Time // when the last reply that counts came
	latency  *hdrhistogram.Histogram
	troubles [kinds]uint64
	examples [kinds]string
}

// A Trouble is something that went wrong, once or several times.
type Trouble struct {
	Class Class
	// Kind is the machine-readable word for what it was.
	Kind string
	// Count is how many times it happened.
	Count uint64
	// Example says, for a person, what happened at one of these times. It holds what the agent
	// sent, in Go's quotes.
	Example string
}

// Throughput returns the steps per second that got the reply that they must get.
func (r Result) Throughput() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Steps) / r.Elapsed.Seconds()
}

// Latency returns the time within which so many percent of the steps counted in Steps got
// their reply, 100 for all of them; 0 when there are none.
func (r Result) Latency(percent float64) time.Duration {
	if r.Steps == 0 {
		return 0
	}
	return time.Duration(r.latency.ValueAtPercentile(percent))
}

// Troubles returns all kinds of trouble that there were.
func (r Result) Troubles() []Trouble {
	var all []Trouble
	for k := right + 1; int(k) < kinds; k++ {
		if r.troubles[k] == 0 {
			continue
		}
		class, name := k.describe()
		all = append(all, Trouble{Class: class, Kind: name, Count: r.troubles[k], Example: r.examples[k]})
	}
	return all
}

// Count returns how many times there was trouble of the class.
func (r Result) Count(class Class) uint64 {
	n := uint64(0)
	for _, t := range r.Troubles() {
		if t.Class == class {
			n += t.Count
		}
	}
	return n
}

func (r Result) example(k kind) string { return r.examples[k] }
