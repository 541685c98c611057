package verify

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span writes a length of time with the unit that suits it.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(d.Abs()) // not -d: times of packets may be as far apart as times can be
	case d < 9995*time.Microsecond:
		return trim(fmt.Sprintf("%.2f", float64(d)/1e6)) + " ms"
	case d < 999950*time.Microsecond:
		return trim(fmt.Sprintf("%.1f", float64(d)/1e6)) + " ms"
	default:
		return trim(fmt.Sprintf("%.3f", d.Seconds())) + " s"
	}
}

// trim takes zeros off the end of a fraction.
func trim(number string) string {
	return strings.TrimSuffix(strings.TrimRight(number, "0"), ".")
}

// declared writes a length of time as its declaration has it, in seconds.
func declared(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + " s"
}

func seconds(d time.Duration) *float64 {
	s := d.Seconds()
	return &s
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// are is count with its verb.
func are(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return count(n, noun) + " are"
}

// list writes numbers: 3; 3 and 5; 2, 4 and 9.
func list(items []string) string {
	switch n := len(items); n {
	case 0:
		return ""
	case 1:
		return items[0]
	default:
		return strings.Join(items[:n-1], ", ") + " and " + items[n-1]
	}
}
