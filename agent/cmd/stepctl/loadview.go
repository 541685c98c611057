package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/version"
)

// loadRedraw is the time between two drawings of the progress of a load.
const loadRedraw = 500 * time.Millisecond

// A loadProgress shows the progress of a load in a status line.
type loadProgress struct {
	statusLine
	total time.Duration
	last  load.Result
}

// show redraws the line. The rate is that since the last drawing.
func (l *loadProgress) show(now load.Result) {
	rate := float64(now.Steps-l.last.Steps) / max(now.Elapsed-l.last.Elapsed, 1).Seconds()
	l.draw(fmt.Sprintf("%v of %v: %.0f steps/s, p50 %v, p99 %v, %d wrong, %d missing, %d lost, %d refused",
		now.Elapsed.Round(time.Second), l.total, rate, short(now.Latency(50)), short(now.Latency(99)),
		now.Count(load.Wrong), now.Count(load.Missing), now.Count(load.Lost), now.Count(load.Refused)))
	l.last = now
}

// short rounds a latency to three digits.
func short(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d >= 1000*unit {
		unit *= 10
	}
	return d.Round(unit)
}

// A percentile of the latencies is reported under its name.
type percentile struct {
	name    string
	percent float64
}

func percentiles() []percentile {
	return []percentile{{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}}
}

// writeLoad writes the result as text.
func writeLoad(w io.Writer, o load.Options, r load.Result) error {
	loop := "closed loop"
	if o.Rate > 0 {
		loop = fmt.Sprintf("open loop at %g steps per second", o.Rate)
	}
	address := o.Address
	if o.TLS != nil {
		address += " over TLS"
	}
	text := fmt.Sprintf("%d clients against %s, %s, %v\n", o.Clients, address, loop, r.Elapsed.Round(time.Millisecond))
	text += fmt.Sprintf("  steps        %d as expected, %.0f per second; %d complete sessions\n", r.Steps, r.Throughput(), r.Sessions)
	if r.Finishing > 0 {
		text += fmt.Sprintf("  finishing    %d further steps after the end, to complete open sessions\n", r.Finishing)
	}
	if r.Unsent > 0 {
		text += fmt.Sprintf("  not sent     %d steps were due while their clients waited for earlier replies\n", r.Unsent)
	}
	text += "  latency    "
	for _, p := range percentiles() {
		text += fmt.Sprintf("  %s %v", p.name, short(r.Latency(p.percent)))
	}
	text += fmt.Sprintf("\n  connections  %d made, %d refused\n", r.Made, r.Count(load.Refused))
	text += fmt.Sprintf("  verdicts     %d wrong, %d missing, %d lost\n", r.Count(load.Wrong), r.Count(load.Missing), r.Count(load.Lost))
	for _, t := range r.Troubles() {
		text += fmt.Sprintf("%s: %s, %d times; the first: %s\n", t.Class, t.Kind, t.Count, t.Example)
	}
	_, err := io.WriteString(w, text)
	return err
}

// A loadReport is a result as JSON. Durations are in seconds.
type loadReport struct {
	Version    string             `json:"stepctl"`
	Address    string             `json:"address"`
	TLS        bool               `json:"tls,omitempty"`
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
	Troubles   []load.Trouble     `json:"troubles"`
}

// writeLoadJSON writes the result as JSON.
func writeLoadJSON(w io.Writer, o load.Options, r load.Result) error {
	report := loadReport{
		Version: version.Number(), Address: o.Address, TLS: o.TLS != nil, Clients: o.Clients, Rate: o.Rate,
		Elapsed: r.Elapsed.Seconds(), Steps: r.Steps, Throughput: r.Throughput(), Sessions: r.Sessions, Finishing: r.Finishing, Unsent: r.Unsent,
		Latency: map[string]float64{}, Made: r.Made, Wrong: r.Count(load.Wrong), Missing: r.Count(load.Missing),
		Lost: r.Count(load.Lost), Refused: r.Count(load.Refused), Troubles: append([]load.Trouble{}, r.Troubles()...), // [] rather than null
	}
	for _, p := range percentiles() {
		report.Latency[p.name] = r.Latency(p.percent).Seconds()
	}
	return json.NewEncoder(w).Encode(report)
}
