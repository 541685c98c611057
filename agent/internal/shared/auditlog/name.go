package auditlog

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Suffix ends the names of the files.
const Suffix = ".jsonl"

// The names of the agent's files: steps-NUMBER.TIME.jsonl. The number alone orders them: unlike the
// time, in UTC, it never goes back. Earlier versions had only the time, with its fraction.
const (
	prefix      = "steps-"
	timeLayout  = "20060102T150405Z"
	earlierTime = "20060102T150405.000000000Z"
)

// FileName returns the name of the file with the number, from 1, that was created at the time.
func FileName(number uint64, at time.Time) string {
	return fmt.Sprintf("%s%010d.%s%s", prefix, number, at.UTC().Format(timeLayout), Suffix)
}

// ParseFileName returns the number in the name of an agent's file, 0 for a name of an earlier
// version. ours is false for any other name.
func ParseFileName(name string) (number uint64, ours bool) {
	word, isSteps := strings.CutPrefix(name, prefix)
	word, isFile := strings.CutSuffix(word, Suffix)
	if !isSteps || !isFile {
		return 0, false
	}
	digits, at, _ := strings.Cut(word, ".")
	if number, err := strconv.ParseUint(digits, 10, 64); err == nil && len(digits) >= 10 && len(digits) <= 18 {
		return number, isTime(timeLayout, at)
	}
	return 0, isTime(earlierTime, word)
}

// isTime compares the lengths too, as time.Parse takes fractions of seconds that the layout does not have.
func isTime(layout, word string) bool {
	_, err := time.Parse(layout, word)
	return err == nil && len(word) == len(layout)
}

// CompareFiles orders files by age, the oldest first: by number, then by name.
func CompareFiles(a, b string) int {
	a, b = filepath.Base(a), filepath.Base(b)
	first, _ := ParseFileName(a)
	second, _ := ParseFileName(b)
	return cmp.Or(cmp.Compare(first, second), cmp.Compare(a, b))
}
