package database

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// timeLayout is how SQLite files keep times: of one width in UTC, so that SQL compares them as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// A Time is a point in time in a column, to the microsecond. It is both a parameter and a
// destination of Scan; for a column that may be NULL use sql.Null[Time]. A Time is never NULL.
type Time time.Time

// Value returns the time as text, which both engines accept.
func (t Time) Value() (driver.Value, error) { return t.String(), nil }

// String returns the time as SQLite files keep it.
func (t Time) String() string { return time.Time(t).UTC().Format(timeLayout) }

// Scan accepts what the drivers return for a column of times. It also reads other forms of RFC 3339,
// which plain SQL may have inserted.
func (t *Time) Scan(value any) error {
	text, isText := value.(string)
	if raw, ok := value.([]byte); ok {
		text, isText = string(raw), true
	}
	if at, ok := value.(time.Time); ok {
		*t = Time(at.UTC())
		return nil
	}
	if !isText {
		return fmt.Errorf("%v is no time", value)
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("%.40q is no time such as %s", text, timeLayout)
	}
	*t = Time(at.UTC())
	return nil
}

// A LooseTime reads a time of the queue, which may be NULL, or wrong as plain SQL may have inserted it.
type LooseTime struct {
	// At is zero for NULL, or if the time is wrong.
	At time.Time
	// Wrong says what is wrong with it; empty for nothing.
	Wrong string
}

// Scan never fails.
func (l *LooseTime) Scan(value any) error {
	*l = LooseTime{}
	if value == nil {
		return nil
	}
	var at Time
	if err := at.Scan(value); err == nil {
		l.At = time.Time(at)
	} else {
		l.Wrong = err.Error()
	}
	return nil
}
