package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// loadRedraw is the time from one drawing of the progress of a load to the next.
const loadRedraw = 500 * time.Millisecond

// A loadLine shows the progress of a load in one line that is drawn again in its place.
type loadLine struct {
	to    io.Writer
	width func() int
	total time.Duration
	last  load.Result
}

// draw shows how far the load is; the rate is that since the last drawing.
func (l *loadLine) draw(now load.Result) {
	rate := float64(now.Steps-l.last.Steps) / max(now.Elapsed-l.last.Elapsed, 1).Seconds()
	text := fmt.Sprintf("%v of %v: %.0f steps/s, p50 %v, p99 %v, %d wrong, %d missing, %d lost, %d refused",
		now.Elapsed.Round(time.Second), l.total, rate, short(now.Latency(50)), short(now.Latency(99)),
		now.Count(load.Wrong), now.Count(load.Missing), now.Count(load.Lost), now.Count(load.Refused))
	if width := l.width(); width > 0 && len(text) >= width {
		text = text[:width-1]
	}
	_, _ = io.WriteString(l.to, "\r"+text+eraseToEnd) // a terminal that has gone shows nothing
	l.last = now
}

func (l *loadLine) erase() { _, _ = io.WriteString(l.to, "\r"+eraseToEnd) }

// short rounds a latency to three digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// percentiles are those that are told of a load.
func percentiles() []float64 { return []float64{50, 90, 99, 99.9, 100} }

// writeLoad writes the result for people.
func writeLoad(w io.Writer, o load.Options, r load.Result) error {
	loop := "closed loop"
	if o.Rate > 0 {
		loop = fmt.Sprintf("open loop at %g steps a second", o.Rate)
	}
	text := fmt.Sprintf("%d clients against %s, %s, %v\n", o.Clients, o.Address, loop, r.Elapsed.Round(time.Millisecond))
	text += fmt.Sprintf("  steps        %d as they must be, %.0f a second; %d whole sessions\n", r.Steps, r.Throughput(), r.Sessions)
	if r.Finishing > 0 {
		text += fmt.Sprintf("  finishing    %d steps after the end, as they must be, so that no session stays open\n", r.Finishing)
	}
	if r.Unsent > 0 {
		text += fmt.Sprintf("  not sent     %d steps were due and their clients still waited for earlier replies\n", r.Unsent)
	}
	text += "  latency    "
	for _, p := range percentiles() {
		name := fmt.Sprintf("p%g", p)
		if p == 100 {
			name = "max"
		}
		text += fmt.Sprintf("  %s %v", name, short(r.Latency(p)))
	}
	text += fmt.Sprintf("\n  connections  %d made, %d refused\n", r.Made, r.Count(load.Refused))
	text += fmt.Sprintf("  verdicts     %d wrong, %d missing, %d lost\n", r.Count(load.Wrong), r.Count(load.Missing), r.Count(load.Lost))
	for _, t := range r.Troubles() {
		text += fmt.Sprintf("%s: %s, %d times, such as: %s\n", t.Class, t.Kind, t.Count, t.Example)
	}
	_, err := io.WriteString(w, text)
	return err
}

// loadReport is a result as JSON. Times are in seconds.
type loadReport struct {
	Version    string             `json:"stepctl"`
	Address    string             `json:"address"`
	Clients    int                `json:"clients"`
	Rate       float64            `json:"rate"`
	Elapsed    float64            `json:"elapsed"`
	Steps      uint64             `json:"steps"`
	Throughput float64            `json:"steps_per_second"`
	Sessions   uint64             `json:"sessions"`
	Finishing  uint64             `json:"finishing"`
	Unsent     uint64             `json:"not_sent"`
	Latency    map[string]float64 `json:"latency"`
	Made       uint64             `json:"connections"`
	Wrong      uint64             `json:"wrong"`
	Missing    uint64             `json:"missing"`
	Lost       uint64             `json:"lost"`
	Refused    uint64             `json:"refused"`
	Troubles   []loadTrouble      `json:"troubles"`
}

type loadTrouble struct {
	Class   load.Class `json:"class"`
	Kind    string     `json:"kind"`
	Count   uint64     `json:"count"`
	Example string     `json:"example"`
}

// writeLoadJSON writes the result for programs.
func writeLoadJSON(w io.Writer, o load.Options, r load.Result) error {
	report := loadReport{
		Version: version.Number(), Address: o.Address, Clients: o.Clients, Rate: o.Rate,
		Elapsed: r.Elapsed.Seconds(), Steps: r.Steps, Throughput: r.Throughput(), Sessions: r.Sessions, Finishing: r.Finishing, Unsent: r.Unsent,
		Latency: map[string]float64{}, Made: r.Made, Wrong: r.Count(load.Wrong), Missing: r.Count(load.Missing),
		Lost: r.Count(load.Lost), Refused: r.Count(load.Refused), Troubles: []loadTrouble{},
	}
	for _, p := range percentiles() {
		name := fmt.Sprintf("p%g", p)
		if p == 100 {
			name = "max"
		}
		report.Latency[name] = r.Latency(p).Seconds()
	}
	for _, t := range r.Troubles() {
		report.Troubles = append(report.Troubles, loadTrouble(t))
	}
	return json.NewEncoder(w).Encode(report)
}
