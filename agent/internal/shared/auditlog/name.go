package auditlog

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Suffix is how the names of the files end.
const Suffix = ".jsonl"

// The names of the agent's files. The number alone orders them, because it goes up whatever
// the clock does; the time, UTC, is for people. Earlier versions had the time alone.
var (
	numbered = regexp.MustCompile(`^steps-([0-9]{10,18})\.[0-9]{8}T[0-9]{6}Z\.jsonl$`)
	earlier  = regexp.MustCompile(`^steps-[0-9]{8}T[0-9]{6}\.[0-9]{9}Z\.jsonl$`)
)

// FileName returns the name of the agent's file with this number, from 1, that is begun at
// this time.
func FileName(number uint64, at time.Time) string {
	return fmt.Sprintf("steps-%010d.%s%s", number, at.UTC().Format("20060102T150405Z"), Suffix)
}

// ParseFileName returns the number of an agent's file by its name, 0 for one that has no
// number yet, and whether it is the name of such a file at all.
func ParseFileName(name string) (number uint64, ours bool) {
	if match := numbered.FindStringSubmatch(name); match != nil {
		number, err := strconv.ParseUint(match[1], 10, 64)
		return number, err == nil
	}
	return 0, earlier.MatchString(name)
}

// CompareFiles orders files by their age, the oldest first: those without a number before
// those with one, and among themselves by their names.
func CompareFiles(a, b string) int {
	a, b = filepath.Base(a), filepath.Base(b)
	first, _ := ParseFileName(a)
	second, _ := ParseFileName(b)
	return cmp.Or(cmp.Compare(first, second), cmp.Compare(a, b))
}
