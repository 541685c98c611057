package schedule

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// atHint says how ParseAt wants a time.
const atHint = `write a time such as "2026-12-01 08:00", "08:00", "+10m" or "2026-12-01T08:00:00+01:00"`

// ParseAt reads a time: RFC 3339; a date and a time of the wall clock in the time zone of now, such as
// "2026-12-01 08:00"; "08:00", the next time that the wall clock shows it; or "+10m", counted from now.
func ParseAt(text string, now time.Time) (time.Time, error) {
	if after, ok := strings.CutPrefix(text, "+"); ok {
		d, err := time.ParseDuration(after)
		if err != nil || d < 0 || d > MaxEvery || strings.HasPrefix(after, "+") {
			return time.Time{}, fmt.Errorf("%q is not a duration from +0s to +%s", text, MaxEvery)
		}
		return now.Add(d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return checkYear(at.In(now.Location()))
	}
	date := strings.Replace(text, "T", " ", 1)
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if wall, err := time.Parse(layout, date); err == nil {
			return wallTime(wall, now.Location())
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return nextOnWall(wall, now)
		}
	}
	return time.Time{}, fmt.Errorf("%.80q is no time; %s", text, atHint)
}

// checkYear refuses years that a database does not hold.
func checkYear(at time.Time) (time.Time, error) {
	if at.Year() < 1970 || at.Year() > 9998 {
		return time.Time{}, fmt.Errorf("the year %d is not within 1970 to 9998", at.Year())
	}
	return at, nil
}

// wallTime returns when the wall clock of a time zone shows a time.
func wallTime(wall time.Time, zone *time.Location) (time.Time, error) {
	at, exists := onWall(wall, zone)
	if !exists {
		return time.Time{}, fmt.Errorf("the clocks of the time zone %s go forward and never show %s; choose another time",
			zone, wall.Format(time.DateTime))
	}
	return checkYear(at)
}

// nextOnWall returns the first time later than now when the wall clock shows the time of day.
func nextOnWall(clock, now time.Time) (time.Time, error) {
	var at time.Time
	var err error
	for days := range 3 { // the second may not show it
		day := time.Date(now.Year(), now.Month(), now.Day()+days, clock.Hour(), clock.Minute(), clock.Second(), 0, time.UTC)
		if at, err = wallTime(day, now.Location()); err == nil && at.After(now) {
			break
		}
	}
	return at, err
}

// LocalZone returns the name of this machine's time zone.
func LocalZone() (string, error) {
	if name := time.Local.String(); name != "Local" && !filepath.IsAbs(name) {
		return name, nil // of TZ, or UTC without any
	}
	if target, err := filepath.EvalSymlinks("/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(target, "/zoneinfo/"); ok {
			return known(name)
		}
	}
	if content, err := os.ReadFile("/etc/timezone"); err == nil {
		return known(strings.TrimSpace(string(content)))
	}
	return known("")
}

// known returns the name of a time zone that every machine knows.
func known(name string) (string, error) {
	if _, err := Zone(name); err != nil {
		return "", errors.New("the name of this machine's time zone is not known; give one with --zone, such as --zone Europe/Berlin")
	}
	return name, nil
}
