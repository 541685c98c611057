package schedule

import "time"

// onWall returns when the wall clock of a time zone shows what wall shows in UTC: of two such times
// the first. A time that the clock leaves out when it goes forward is as much later, and exists is
// false. time.Date does not say which it returns.
func onWall(wall time.Time, zone *time.Location) (at time.Time, exists bool) {
	shown := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, time.UTC)
	for _, distance := range []time.Duration{-maxShift, maxShift} { // before and after a step of the clock
		_, offset := shown.Add(distance).In(zone).Zone()
		candidate := shown.Add(-time.Duration(offset) * time.Second).In(zone)
		if candidate.Format(time.DateTime) == shown.Format(time.DateTime) {
			return candidate, true
		}
		if at.IsZero() {
			at = candidate
		}
	}
	return at, false
}
