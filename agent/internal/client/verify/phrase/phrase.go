// Package phrase writes durations, counts and lists for the sentences of a report.
package phrase

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Span returns a duration rounded to what a reader needs: 0.5 ms, 500.2 ms, 5.801 s.
func Span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Span(d.Abs()) // Abs handles the smallest Duration, -d would overflow
	case d < 9995*time.Microsecond:
		return trimZeros(fmt.Sprintf("%.2f", float64(d)/1e6)) + " ms"
	case d < 999950*time.Microsecond:
		return trimZeros(fmt.Sprintf("%.1f", float64(d)/1e6)) + " ms"
	default:
		return trimZeros(fmt.Sprintf("%.3f", d.Seconds())) + " s"
	}
}

func trimZeros(fraction string) string {
	return strings.TrimSuffix(strings.TrimRight(fraction, "0"), ".")
}

// Declared returns a duration in seconds, as step files and requests declare it.
func Declared(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}

// Count returns a number with its noun: 1 packet, 2 packets.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
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
