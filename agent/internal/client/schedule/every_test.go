package schedule_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/schedule"
)

const layout = "2006-01-02 15:04:05 -0700"

func mustTime(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(layout, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func mustEvery(t testing.TB, text string) schedule.Every {
	t.Helper()
	e, err := schedule.ParseEvery(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Each case lists the times of a plan from a time on.
func TestNext(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every, after string
		want         []string
	}{
		"a duration counts from the plan": {"1h30m", "2026-01-01 10:00:01 +0000",
			[]string{"2026-01-01 11:30:00 +0000", "2026-01-01 13:00:00 +0000"}},
		"without a zone fields are in UTC": {"0 2 * * *", "2026-03-29 00:00:00 +0100",
			[]string{"2026-03-29 02:00:00 +0000", "2026-03-30 02:00:00 +0000"}},
		"a time that is left out comes as much later": {"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28 02:30:00 +0100",
			[]string{"2026-03-29 03:30:00 +0200", "2026-03-30 02:30:00 +0200"}},
		"also when asked for within the step": {"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-29 03:10:00 +0200",
			[]string{"2026-03-29 03:30:00 +0200", "2026-03-30 02:30:00 +0200"}},
		"a time that comes twice counts once": {"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-24 03:00:00 +0200",
			[]string{"2026-10-25 02:30:00 +0200", "2026-10-26 02:30:00 +0100"}},
		"also when asked for between the two": {"CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25 02:10:00 +0100",
			[]string{"2026-10-26 02:30:00 +0100"}},
		"every hour is every hour that elapses": {"CRON_TZ=Europe/Berlin 30 * * * *", "2026-10-25 01:30:00 +0200",
			[]string{"2026-10-25 02:30:00 +0200", "2026-10-25 02:30:00 +0100", "2026-10-25 03:30:00 +0100"}},
		"every hour when one is left out": {"CRON_TZ=Europe/Berlin 30 * * * *", "2026-03-29 00:30:00 +0100",
			[]string{"2026-03-29 01:30:00 +0100", "2026-03-29 03:30:00 +0200"}},
		"New York": {"CRON_TZ=America/New_York 15 2 * * *", "2026-03-07 12:00:00 -0500",
			[]string{"2026-03-08 03:15:00 -0400", "2026-03-09 02:15:00 -0400"}},
		"half an hour": {"CRON_TZ=Australia/Lord_Howe 15 2 * * *", "2026-10-03 12:00:00 +1030",
			[]string{"2026-10-04 02:45:00 +1100", "2026-10-05 02:15:00 +1100"}},
		"a day that is left out": {"CRON_TZ=Pacific/Apia 0 8 30 12 *", "2011-12-29 12:00:00 -1000",
			[]string{"2011-12-31 08:00:00 +1400", "2012-12-30 08:00:00 +1400"}},
		"no daylight saving": {"CRON_TZ=Asia/Seoul 0 8 * * 1-5", "2026-11-27 09:00:00 +0900",
			[]string{"2026-11-30 08:00:00 +0900", "2026-12-01 08:00:00 +0900"}},
	} {
		every := mustEvery(t, c.every)
		due, after := mustTime(t, "2026-01-01 07:00:00 +0000"), mustTime(t, c.after)
		for _, want := range c.want {
			got := every.Next(due, after)
			if !got.Equal(mustTime(t, want)) {
				t.Errorf("%s: after %s comes %s, want %s", name, after, got, want)
			}
			after = got
		}
	}
}

func TestFirst(t *testing.T) {
	t.Parallel()
	made := mustTime(t, "2026-01-01 07:00:00 +0000")
	if got := mustEvery(t, "1h").First(made); !got.Equal(made) {
		t.Errorf("a duration begins at %s", got)
	}
	if got := mustEvery(t, "30 7 * * *").First(made); !got.Equal(made.Add(30 * time.Minute)) {
		t.Errorf("fields begin at %s", got)
	}
}

// A due time that lies centuries back costs no more than one of yesterday.
func TestNextFromFarBack(t *testing.T) {
	t.Parallel()
	every := mustEvery(t, "1s")
	after := mustTime(t, "2026-01-01 07:00:00 +0000")
	if got := every.Next(time.Time{}, after); !got.Equal(after.Add(time.Second)) {
		t.Errorf("got %s", got)
	}
}

func TestParseEveryWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                  "neither a duration",
		"daily":                             "neither a duration",
		"@daily":                            "neither a duration",
		"1h30":                              "neither a duration",
		"0s":                                "must be from 1s to",
		"-1h":                               "must be from 1s to",
		"500ms":                             "must be from 1s to",
		"200000h":                           "must be from 1s to",
		"@every 1h":                         "the cron fields of the plan \"@every 1h\" are wrong",
		"0 2 * *":                           "expected exactly 5 fields, found 4",
		"0 0 2 * * *":                       "expected exactly 5 fields, found 6",
		"60 2 * * *":                        "above maximum",
		"0 0 30 2 *":                        "name no day that exists",
		", * * * *":                         "name no day that exists",
		"CRON_TZ=Mars/Base 0 2 * * *":       "the time zone \"Mars/Base\" is not known",
		"CRON_TZ= 0 2 * * *":                "the time zone \"\" is not known",
		"CRON_TZ=Local 0 2 * * *":           "the time zone \"Local\" is not known",
		"CRON_TZ=UTC CRON_TZ=UTC 0 2 * * *": "expected exactly 5 fields",
		"TZ=UTC 0 2 * * *":                  "expected exactly 5 fields",
		"CRON_TZ=UTC":                       "neither a duration",
		strings.Repeat("0", 257):            "longer than 256 bytes",
	} {
		if _, err := schedule.ParseEvery(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gave %v, want %s", text, err, want)
		}
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	e, err := mustEvery(t, "0 2 * * *").In("Asia/Seoul")
	if err != nil || e.String() != "CRON_TZ=Asia/Seoul 0 2 * * *" {
		t.Errorf("got %v, %v", e, err)
	}
	if again, err := e.In("Europe/Berlin"); err != nil || again.String() != e.String() {
		t.Errorf("a zone was replaced: %v, %v", again, err)
	}
	if _, err := mustEvery(t, "1h").In("Asia/Seoul"); err == nil {
		t.Error("a duration got a zone")
	}
	if _, err := mustEvery(t, "0 2 * * *").In("Mars"); err == nil {
		t.Error("an unknown zone was accepted")
	}
}

// Next is the first minute after a time whose wall clock shows a time of the plan; on days without a
// change of the clocks, against a search minute by minute.
func TestNextIsTheFirst(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Asia/Seoul", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"}
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.IntRange(0, 59).Draw(t, "minute")
		hour := rapid.IntRange(0, 23).Draw(t, "hour")
		weekday := rapid.IntRange(0, 6).Draw(t, "weekday")
		name := rapid.SampledFrom(zones).Draw(t, "zone")
		every, err := schedule.ParseEvery("CRON_TZ=" + name + " " + itoa(minute) + " " + itoa(hour) + " * * " + itoa(weekday))
		if err != nil {
			t.Fatal(err)
		}
		zone, _ := time.LoadLocation(name)
		after := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 366*24*60).Draw(t, "after")) * time.Minute)
		got := every.Next(time.Time{}, after)
		if !got.After(after) {
			t.Fatalf("%s is not after %s", got, after)
		}
		_, from := after.In(zone).Zone()
		if _, to := got.In(zone).Zone(); from != to {
			return // TestNext has those
		}
		if _, before := after.Add(-26 * time.Hour).In(zone).Zone(); before != from {
			return
		}
		want := after.Truncate(time.Minute).Add(time.Minute)
		for {
			wall := want.In(zone)
			if wall.Minute() == minute && wall.Hour() == hour && int(wall.Weekday()) == weekday {
				break
			}
			want = want.Add(time.Minute)
		}
		if !got.Equal(want) {
			t.Fatalf("after %s comes %s, want %s", after, got, want)
		}
	})
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }

// For any text and time: no panic, and the next time is later.
func FuzzParseEvery(f *testing.F) {
	for _, text := range []string{"1h30m", "0 2 * * *", "CRON_TZ=Europe/Berlin */5 1-3,7 1/2 jan-dec mon", ", , , , ,", "TZ= 1", "0 0 29 2 *"} {
		f.Add(text, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		every, err := schedule.ParseEvery(text)
		if err != nil {
			return
		}
		after := time.Unix(seconds%4e9, 0)
		if next := every.Next(time.Unix(0, 0), after); !next.After(after) && !next.IsZero() {
			t.Errorf("%q: after %s comes %s", text, after, next)
		}
		if again, err := schedule.ParseEvery(every.String()); err != nil || again.String() != every.String() {
			t.Errorf("%q is read again as %v, %v", text, again, err)
		}
	})
}
