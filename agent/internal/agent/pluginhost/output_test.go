package pluginhost

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

// The limits of what a plugin may print, as docs/plugin-faults.md has them.
const (
	lineBurst      = 200
	linesPerSecond = 20
	outputBurst    = lineBurst << 10
	pipeBytes      = 64 << 10
	floodPause     = 10 * time.Millisecond
)

func TestP13GarbageOnStdout(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "print", Settings: []byte(`{"step":3}`)})
	passes(t, set.Groups()[0], 3)
	eventually(t, "all four lines are logged", func() bool {
		s := log.String()
		return strings.Contains(s, `stream=stderr line="to stdout"`) &&
			strings.Contains(s, `stream=stderr line="to stderr \\x1b[31mred"`) &&
			strings.Contains(s, `line="{\"@message\":1}"`) &&
			strings.Contains(s, `stream=stdout line=xxx`)
	})
	passes(t, set.Groups()[0], 3) // and stdout is still read
	if st := set.Status()[0]; st.Restarts != 0 {
		t.Errorf("status = %+v", st)
	}
}

func TestP12StderrFlood(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, nil)
	set := startSet(t, h, Spec{Name: "a", Validator: "flood", Settings: []byte(`{"step":3}`)})
	passes(t, set.Groups()[0], 3)
	began := time.Now()
	eventually(t, "the burst is used up", func() bool { return strings.Count(log.String(), "line=flood") >= lineBurst })
	passes(t, set.Groups()[0], 1)
	set.Close(t.Context())
	if !strings.Contains(log.String(), "lines were left out") {
		t.Error("nothing is said of the lines that were left out")
	}
	most := lineBurst + int(linesPerSecond*(time.Since(began).Seconds()+1))
	if n := strings.Count(log.String(), "line=flood"); n > most {
		t.Errorf("%d lines of the flood are logged, want %d at most", n, most)
	}
}

// A plugin that crashes again and again has no more lines than another.
func TestP12LoudCrashes(t *testing.T) {
	besideOthers(t)
	h, log := newTestHost(t, atOnce)
	set := startSet(t, h, Spec{Name: "a", Validator: "crash-loudly", Settings: []byte(`{"step":3}`)})
	began := time.Now()
	for range 2 { // two processes each
		within(t, patience, set.Groups()[0], 3)
	}
	passes(t, set.Groups()[0], 1)
	set.Close(t.Context())
	most := lineBurst + int(linesPerSecond*(time.Since(began).Seconds()+1))
	if n := strings.Count(log.String(), "line=loud"); n < lineBurst || n > most {
		t.Errorf("%d lines are logged, want %d to %d", n, lineBurst, most)
	}
}

// A flood that has no lines, or only empty ones, is read no faster than another. How fast the
// plugin gets rid of it says so: pauses last as long as they are to, however slow the machine.
func TestP12FloodWithoutLines(t *testing.T) {
	besideOthers(t)
	for name, step := range map[string]int64{"stderr": 3, "empty lines": 4, "stdout": 5} {
		t.Run(name, func(t *testing.T) {
			h, _ := newTestHost(t, nil)
			set := startSet(t, h, Spec{Name: "a", Validator: "gush"})
			began := time.Now()
			passes(t, set.Groups()[0], step)
			const much = 2 << 20
			eventually(t, "much is printed", func() bool {
				printed, err := strconv.Atoi(string(within(t, patience, set.Groups()[0], 1)[0].Verdict.State))
				if err != nil {
					t.Fatal(err)
				}
				most := outputBurst + pipeBytes*(3+int(time.Since(began)/floodPause)) // one read, one in the pipe
				if printed > most {
					t.Fatalf("%d bytes were read in %v, want %d at most", printed, time.Since(began), most)
				}
				return printed > much
			})
		})
	}
}
