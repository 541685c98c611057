package jsonl

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Seconds is a duration that is written as a decimal number of seconds, exactly: without an
// exponent and with up to nine decimals. It is never negative.
type Seconds time.Duration

// MarshalJSON fails for a negative duration.
func (s Seconds) MarshalJSON() ([]byte, error) {
	d := time.Duration(s)
	if d < 0 {
		return nil, fmt.Errorf("%s is negative", d)
	}
	whole := strconv.AppendInt(nil, int64(d/time.Second), 10)
	if d%time.Second == 0 {
		return whole, nil
	}
	return bytes.TrimRight(fmt.Appendf(whole, ".%09d", d%time.Second), "0"), nil
}

// UnmarshalJSON accepts what MarshalJSON writes, and nothing that a Duration cannot hold.
func (s *Seconds) UnmarshalJSON(raw []byte) error {
	_, decimals, _ := strings.Cut(string(raw), ".")
	d, err := time.ParseDuration(string(raw) + "s")
	if err != nil || d < 0 || len(decimals) > 9 {
		return fmt.Errorf("%.40s is no number of seconds: not negative, at most nine decimals, no exponent", raw)
	}
	*s = Seconds(d)
	return nil
}
