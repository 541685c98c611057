package statistics

import (
	"slices"

	"github.com/aclements/go-moremath/stats"
)

// A Summary describes values by their order. The spread is the range between the quartiles, which
// holds the middle half of the values: single late replies do not move it.
type Summary struct {
	// N is the number of values. All other fields are 0 if it is.
	N int `json:"n"`
	// Median is the middle value, Lower and Upper the quartiles.
	Median float64 `json:"median"`
	Lower  float64 `json:"lower_quartile"`
	Upper  float64 `json:"upper_quartile"`
	// Least and Most are the extreme values.
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

// Spread returns the range between the quartiles.
func (s Summary) Spread() float64 { return s.Upper - s.Lower }

// Summarize describes values. It leaves them as they are.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	sorted := stats.Sample{Xs: slices.Sorted(slices.Values(values)), Sorted: true}
	s := Summary{N: len(values), Median: sorted.Quantile(0.5), Lower: sorted.Quantile(0.25), Upper: sorted.Quantile(0.75)}
	s.Least, s.Most = sorted.Bounds()
	return s
}
