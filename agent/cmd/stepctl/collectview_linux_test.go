package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/collect"
)

// At a terminal the progress is one line, and log lines are above it.
func TestCollectViewAtATerminal(t *testing.T) {
	var out strings.Builder
	v := &collectView{connected: func() bool { return true }, line: &statusLine{to: &out, width: func() int { return 100 }}}
	v.log = slog.New(aboveLine{slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}), v}).With("fleet", "lab")
	v.tell(collect.Progress{Events: 1, Messages: 1})
	if got, want := screen(out.String()), "1 event in 1 message collected"; got != want {
		t.Errorf("the screen is\n%s\nwant\n%s", got, want)
	}
	v.tell(collect.Progress{Events: 12, Messages: 3, Behind: 4, Lag: 1500 * time.Millisecond})
	v.tell(collect.Progress{Events: 12, Messages: 3, Behind: 4, Trouble: "the disk is full\u2026"})
	v.log.Warn("one more")
	want := "level=WARN msg=\"nothing is collected at the moment; it is tried again\" fleet=lab cause=\"the disk is full\u2026\"\n" +
		"level=WARN msg=\"one more\" fleet=lab\n" +
		"12 events in 3 messages collected; 4 messages behind; the disk is full?"
	if got := screen(out.String()); got != want {
		t.Errorf("the screen is\n%s\nwant\n%s", got, want)
	}
	v.tell(collect.Progress{Events: 13, Messages: 4})
	v.end()
	if got := screen(out.String()); strings.Contains(got, "13 events") || !strings.Contains(got, "the results are collected again") {
		t.Errorf("at the end the screen is\n%s", got)
	}
}

// Elsewhere the progress is a log line each minute.
func TestCollectViewInALog(t *testing.T) {
	var out strings.Builder
	v := &collectView{connected: func() bool { return false }, log: slog.New(slog.NewTextHandler(&out, nil)), logged: time.Now()}
	v.tell(collect.Progress{Events: 1})
	v.tell(collect.Progress{Events: 1, Trouble: "not connected"}) // the connection logs this
	v.tell(collect.Progress{Events: 1})
	v.logged = time.Now().Add(-2 * time.Minute)
	v.tell(collect.Progress{Events: 9, Messages: 2, Behind: 7, Lag: 1500 * time.Millisecond})
	v.tell(collect.Progress{Events: 10, Messages: 3})
	got := out.String()
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "msg=\"the results are collected again\"") ||
		!strings.Contains(got, "msg=collected events=9 messages=2 rejected=0 behind=7 lag=1.5s") {
		t.Error(got)
	}
}
