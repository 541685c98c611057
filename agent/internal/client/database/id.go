package database

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
)

// idSecond is the form of the second in an id.
const idSecond = "20060102T150405"

// NewID returns an id for a run that starts at the time, 20261130T001422-7f3a9c: the second in UTC,
// the fraction of it in 1/4096 as three hexadecimal digits, and three at random. Ids sort by time.
func NewID(start time.Time) string {
	var random [2]byte
	_, _ = rand.Read(random[:]) // never fails
	return fmt.Sprintf("%s%03x", idAt(start), binary.BigEndian.Uint16(random[:])>>4)
}

// IsPartOfID reports whether a text has the characters of an id alone.
func IsPartOfID(text string) bool {
	return text != "" && strings.Trim(text, "0123456789abcdefT-") == ""
}

// idAt is the part of an id that is the time of the start: ids of runs that start at or after the
// time are not less than it.
func idAt(start time.Time) string {
	start = start.UTC()
	return fmt.Sprintf("%s-%03x", start.Format(idSecond), int64(start.Nanosecond())*4096/int64(time.Second))
}
