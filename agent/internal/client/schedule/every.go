// Package schedule reads when a procedure is due: at one time (ParseAt), and at the repeated times
// of a plan (Every). It reads no clock.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine without time zones performs the same plans

	"github.com/robfig/cron/v3"
)

const (
	// MinEvery is the shortest duration of a plan.
	MinEvery = time.Second
	// MaxEvery is the longest one.
	MaxEvery = 10 * 365 * 24 * time.Hour
	// maxTextBytes is the length of the longest text of a plan, in bytes.
	maxTextBytes = 256
	// zonePrefix precedes the time zone of cron fields.
	zonePrefix = "CRON_TZ="
	// maxShift is above the longest step of a wall clock, for Samoa left out a whole day, and above the
	// largest offset of a time zone.
	maxShift = 26 * time.Hour
	// anyHour is the bit of package cron for a field that is *.
	anyHour = 1 << 63
)

// An Every is a plan of repeated times: a duration, or the five fields of cron in a time zone. The
// zero value is no plan.
type Every struct {
	text   string
	step   time.Duration      // 0 for cron fields
	fields *cron.SpecSchedule // in UTC, see next
	zone   *time.Location
}

// ParseEvery reads a plan: a duration such as 1h30m, or the five fields minute, hour, day of month,
// month and day of week. Fields count in UTC, or in the time zone that precedes them:
// "CRON_TZ=Europe/Berlin 0 2 * * *".
func ParseEvery(text string) (Every, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxTextBytes {
		return Every{}, fmt.Errorf("the plan %.20q is longer than %d bytes", text, maxTextBytes)
	}
	if HasFields(text) {
		return parseFields(text)
	}
	step, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return Every{}, fmt.Errorf("the plan %q is neither a duration, such as 1h30m, nor five fields of cron, such as \"0 2 * * *\"", text)
	case step < MinEvery || step > MaxEvery:
		return Every{}, fmt.Errorf("the duration %s of the plan must be from %s to %s", text, MinEvery, MaxEvery)
	}
	return Every{text: text, step: step}, nil
}

// HasFields reports whether the text of a plan has cron fields, and not a duration.
func HasFields(text string) bool { return len(strings.Fields(text)) > 1 }

// parseFields reads cron fields, with or without a time zone.
func parseFields(text string) (Every, error) {
	e := Every{text: text, zone: time.UTC}
	fields := text
	if rest, ok := strings.CutPrefix(text, zonePrefix); ok {
		name, after, _ := strings.Cut(rest, " ")
		zone, err := Zone(name)
		if err != nil {
			return Every{}, err
		}
		e.zone, fields = zone, after
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)
	// The prefix is package cron's own as well; it must not find another one.
	plan, err := parser.Parse("CRON_TZ=UTC " + strings.TrimSpace(fields))
	if err != nil {
		return Every{}, fmt.Errorf("the cron fields of the plan %q are wrong: %w", text, err)
	}
	e.fields = plan.(*cron.SpecSchedule) // what a parser without descriptors returns
	if e.fields.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Every{}, fmt.Errorf("the cron fields of the plan %q name no day that exists", text)
	}
	return e, nil
}

// Zone returns the time zone of a name such as Europe/Berlin.
func Zone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if name == "" || name == "Local" || err != nil {
		return nil, fmt.Errorf("the time zone %q is not known; write a name such as Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// String returns the plan as ParseEvery reads it.
func (e Every) String() string { return e.text }

// IsZero reports whether e is no plan.
func (e Every) IsZero() bool { return e.text == "" }

// In returns the plan with its cron fields in the named time zone, unless they have one.
func (e Every) In(name string) (Every, error) {
	switch {
	case e.fields == nil:
		return Every{}, errors.New("a duration has no time zone")
	case strings.HasPrefix(e.text, zonePrefix):
		return e, nil
	}
	return ParseEvery(zonePrefix + name + " " + e.text)
}

// First returns the first time of a plan that was made at a time: at once for a duration, and the
// next time of cron fields.
func (e Every) First(made time.Time) time.Time {
	if e.fields != nil {
		return e.Next(time.Time{}, made)
	}
	return made
}

// Next returns the first time of the plan that is later than after. A duration counts from due, an
// earlier time of the plan; cron fields do not need it. It is the zero time if cron fields name no day
// within five years.
//
// Durations are elapsed time. Fields name a time of the wall clock: one that is left out when clocks
// go forward is performed as much later, one that comes twice when they go back is performed the
// first time only. Fields with every hour (*) are performed in each hour that elapses.
func (e Every) Next(due, after time.Time) time.Time {
	switch {
	case e.step > 0:
		for !due.After(after) { // again if Sub has saturated
			gap := after.Sub(due)
			due = due.Add(gap - gap%e.step).Add(e.step)
		}
		return due
	case e.fields.Hour&anyHour != 0:
		inZone := *e.fields
		inZone.Location = e.zone
		return inZone.Next(after.In(e.zone))
	}
	// Times of the wall clock are written as if they were UTC, where each exists once.
	local := after.In(e.zone)
	_, offset := local.Zone()
	for wall := after.UTC().Add(time.Duration(offset)*time.Second - maxShift); ; {
		wall = e.fields.Next(wall)
		if wall.IsZero() {
			return wall
		}
		if next, _ := onWall(wall, e.zone); next.After(after) {
			return next
		}
	}
}
