// Package phrase writes durations, counts and lists for the sentences of reports.
package phrase

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Measure rounds a measured duration for people, to a number of "ms" or of "s".
func Measure(d time.Duration) (number, unit string) {
	switch ms := float64(d) / float64(time.Millisecond); {
	case d < 9995*time.Microsecond:
		return strconv.FormatFloat(ms, 'f', 2, 64), "ms"
	case d < 999950*time.Microsecond:
		return strconv.FormatFloat(ms, 'f', 1, 64), "ms"
	default:
		return strconv.FormatFloat(d.Seconds(), 'f', 3, 64), "s"
	}
}

// Span returns a duration rounded to what a reader needs: 0.5 ms, 500.2 ms, 5.801 s.
func Span(d time.Duration) string {
	if d < 0 {
		return "-" + Span(d.Abs()) // Abs handles the smallest Duration, -d would overflow
	}
	number, unit := Measure(d)
	return strings.TrimSuffix(strings.TrimRight(number, "0"), ".") + " " + unit
}

// Seconds returns a duration in seconds, exactly.
func Seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Declared returns a duration in seconds, as step files and requests declare it.
func Declared(d time.Duration) string { return Seconds(d) + " s" }

// After prefixes a text that is not empty.
func After(before, text string) string {
	if text == "" {
		return ""
	}
	return before + text
}

// Count returns a number with its noun: 1 packet, 2 packets, 2 replies.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		noun = stem + "ie"
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// CountAre returns Count with a verb: 1 packet is, 2 packets are.
func CountAre(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return Count(n, noun) + " are"
}

// List joins items: 3; 3 and 5; 2, 4 and 9.
func List(items []string) string {
	n := len(items) - 1
	if n < 1 {
		return strings.Join(items, "")
	}
	return strings.Join(items[:n], ", ") + " and " + items[n]
}
