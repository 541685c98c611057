package auditlog

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// Suffix ends the names of the files.
const Suffix = ".jsonl"

// The names of the agent's files. The number alone orders them: unlike the time, in UTC, it never
// goes back. Earlier versions had only the time.
var (
	numbered = regexp.MustCompile(`^steps-([0-9]{10,18})\.[0-9]{8}T[0-9]{6}Z\.jsonl$`)
	earlier  = regexp.MustCompile(`^steps-[0-9]{8}T[0-9]{6}\.[0-9]{9}Z\.jsonl$`)
)

// FileName returns the name of the file with the number, from 1, that was created at the time.
func FileName(number uint64, at time.Time) string {
	return fmt.Sprintf("steps-%010d.%s%s", number, at.UTC().Format("20060102T150405Z"), Suffix)
}

// ParseFileName returns the number in the name of an agent's file, 0 for a name of an earlier
// version. ours is false for any other name.
func ParseFileName(name string) (number uint64, ours bool) {
	if match := numbered.FindStringSubmatch(name); match != nil {
		number, err := strconv.ParseUint(match[1], 10, 64)
		return number, err == nil
	}
	return 0, earlier.MatchString(name)
}

// CompareFiles orders files by age, the oldest first: by number, then by name.
func CompareFiles(a, b string) int {
	a, b = filepath.Base(a), filepath.Base(b)
	first, _ := ParseFileName(a)
	second, _ := ParseFileName(b)
	return cmp.Or(cmp.Compare(first, second), cmp.Compare(a, b))
}
