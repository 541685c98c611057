package schedule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/schedule"
)

func TestParseAt(t *testing.T) {
	t.Parallel()
	berlin, err := schedule.Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, now, want string }{
		{"2026-12-01T08:00:00+09:00", "2026-11-30 01:00:00 +0100", "2026-12-01 00:00:00 +0100"},
		{"2026-12-01T08:00:00Z", "2026-11-30 01:00:00 +0100", "2026-12-01 09:00:00 +0100"},
		{"2026-12-01 08:00", "2026-11-30 01:00:00 +0100", "2026-12-01 08:00:00 +0100"},
		{"2026-12-01T08:00:30", "2026-11-30 01:00:00 +0100", "2026-12-01 08:00:30 +0100"},
		{"2026-07-01 08:00", "2026-01-30 01:00:00 +0100", "2026-07-01 08:00:00 +0200"},
		{"08:00", "2026-11-30 07:59:59 +0100", "2026-11-30 08:00:00 +0100"},
		{"08:00", "2026-11-30 08:00:00 +0100", "2026-12-01 08:00:00 +0100"},
		{"08:00:15", "2026-12-31 09:00:00 +0100", "2027-01-01 08:00:15 +0100"},
		{"+10m", "2026-10-25 02:55:00 +0200", "2026-10-25 02:05:00 +0100"},
		{"+0s", "2026-10-25 02:55:00 +0200", "2026-10-25 02:55:00 +0200"},
		// The clocks go forward at 02:00 and back at 03:00.
		{"08:00", "2026-03-28 09:00:00 +0100", "2026-03-29 08:00:00 +0200"},
		{"02:30", "2026-03-28 09:00:00 +0100", "2026-03-30 02:30:00 +0200"},
		{"2026-10-25 02:30", "2026-10-24 09:00:00 +0200", "2026-10-25 02:30:00 +0200"},
		{"02:30", "2026-10-24 09:00:00 +0200", "2026-10-25 02:30:00 +0200"},
		{"02:30", "2026-10-25 02:10:00 +0100", "2026-10-26 02:30:00 +0100"},
	} {
		got, err := schedule.ParseAt(c.text, mustTime(t, c.now).In(berlin))
		if err != nil || !got.Equal(mustTime(t, c.want)) {
			t.Errorf("%s at %s gave %s, %v; want %s", c.text, c.now, got, err, c.want)
		}
	}
}

func TestParseAtWrong(t *testing.T) {
	t.Parallel()
	berlin, err := schedule.Zone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                     "is no time; write a time such as",
		"tomorrow":             "is no time",
		"8 pm":                 "is no time",
		"25:00":                "is no time",
		"2026-02-30 08:00":     "is no time",
		"2026-03-29 02:30":     "go forward and never show 2026-03-29 02:30:00",
		"+10":                  "is not a duration",
		"+-10m":                "is not a duration",
		"++10m":                "is not a duration",
		"0001-01-01 08:00":     "the year 1 is not within",
		"9999-12-31T23:00:00Z": "is not within 1970 to 9998",
	} {
		if at, err := schedule.ParseAt(text, mustTime(t, "2026-03-28 09:00:00 +0100").In(berlin)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %s, %v; want %s", text, at, err, want)
		}
	}
}

func TestLocalZone(t *testing.T) {
	name, err := schedule.LocalZone()
	if err != nil {
		t.Fatalf("%v (this machine's time zone is %s)", err, time.Local)
	}
	zone, err := schedule.Zone(name)
	now := time.Now()
	if err != nil || now.In(zone).Format(layout) != now.Format(layout) {
		t.Errorf("%s is not the time zone of this machine: %v", name, err)
	}
}

// For any text: no panic, and a time within what a database holds.
func FuzzParseAt(f *testing.F) {
	for _, text := range []string{"2026-12-01T08:00:00+09:00", "2026-12-01 08:00", "08:00:00", "+10m", "9999-12-31T23:59:60Z"} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if at, err := schedule.ParseAt(text, now); err == nil && (at.Year() < 1970 || at.Year() > 9998) {
			t.Errorf("%q gave %s", text, at)
		}
	})
}
