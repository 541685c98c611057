package phrase

import (
	"math"
	"testing"
	"time"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 900 * time.Microsecond: "0.9 ms", -time.Millisecond: "-1 ms", 12345 * time.Microsecond: "12.3 ms",
		5801 * time.Millisecond: "5.801 s", 10 * time.Second: "10 s", math.MinInt64: "-9223372036.855 s",
	} {
		if got := Span(d); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}
