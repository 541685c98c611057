// Package statistics says whether durations have changed, and how sure that is.
//
// A comparison has two sides, before and after, and estimates the ratio after/before: 1.05 is five
// per cent slower. It assumes no distribution. Its interval contains the true ratio with at least the stated
// confidence, and its Word follows from the interval alone, so that the two never disagree. Equal
// values count against a difference.
//
// Sets compares two sets of runs by the Mann-Whitney test, with the interval that belongs to it
// (Hodges and Lehmann, Annals of Mathematical Statistics 34, 1963). Pairs compares measurements that
// belong together, such as the steps of two runs, by the sign test and order statistics. Judge
// controls the error of all comparisons of a family together (Holm, Scandinavian Journal of
// Statistics 6, 1979). The distributions are those of go-moremath, which benchstat uses too.
package statistics

import (
	"encoding/json"
	"errors"
	"math"
)

// A Word is the finding of a comparison.
type Word string

// The words. There is no word for "equal": no number of runs proves that.
const (
	// Slower, Faster: the change exceeds the threshold, and so does the whole interval.
	Slower Word = "slower"
	Faster Word = "faster"
	// NoDifference: the interval reaches changes below the threshold.
	NoDifference Word = "no difference seen"
	// TooFew: even without any overlap of the two sides, no difference could be told.
	TooFew Word = "too few runs"
)

// Options say how sure a word must be.
type Options struct {
	// Alpha is the probability, at most, that any word of a family is wrong; between 0 and 1.
	Alpha float64 `json:"alpha"`
	// Threshold is the smallest change that counts, as a share: 0.01 for 1 %. At least 0.
	Threshold float64 `json:"threshold"`
}

// Defaults are the options of the commands: an error of 5 %, and changes from 1 %.
var Defaults = Options{Alpha: 0.05, Threshold: 0.01}

// Check returns an error for options that have no meaning.
func (o Options) Check() error {
	switch {
	case !(o.Alpha > 0 && o.Alpha < 1): // also true for NaN
		return errors.New("the confidence must be more than 0 % and less than 100 %")
	case !(o.Threshold >= 0 && o.Threshold <= 10):
		return errors.New("the threshold must be between 0 % and 1000 %")
	}
	return nil
}

// A Change is the result of a comparison.
type Change struct {
	Word Word
	// Ratio estimates after/before, and Low to High is its interval. All three are NaN if the
	// comparison has too few values for an interval; a ratio is never without one.
	Ratio, Low, High float64
	// Confidence is that of the interval, as a share. It is the same for a whole family.
	Confidence float64
	// Before and After are how many values each side has; of Pairs, both are the number of pairs.
	Before, After int
	// Needed is how many values each side must have for a difference to be told in a family of this
	// size, if the word is TooFew and both sides have values; otherwise 0.
	Needed int
}

// Known reports whether the change has a ratio.
func (c Change) Known() bool { return !math.IsNaN(c.Ratio) }

// MarshalJSON leaves out what is not known.
func (c Change) MarshalJSON() ([]byte, error) {
	members := struct {
		Word       Word     `json:"word"`
		Ratio      *float64 `json:"ratio,omitempty"`
		Low        *float64 `json:"low,omitempty"`
		High       *float64 `json:"high,omitempty"`
		Confidence float64  `json:"confidence"`
		Before     int      `json:"before"`
		After      int      `json:"after"`
		Needed     int      `json:"needed,omitempty"`
	}{Word: c.Word, Confidence: c.Confidence, Before: c.Before, After: c.After, Needed: c.Needed}
	if c.Known() {
		members.Ratio, members.Low, members.High = &c.Ratio, &c.Low, &c.High
	}
	return json.Marshal(members)
}

// A Comparison is one that Judge has not judged yet. The zero value has no values.
type Comparison struct{ of differences }

// Sets compares the values of two sets of runs, in seconds or any other unit.
func Sets(before, after []float64) Comparison { return Comparison{newSets(logs(before), logs(after))} }

// Pairs compares two sides by pairs of values: before[i] with after[i], so both have the same length.
// The ratio is the median of the ratios of the pairs.
func Pairs(before, after []float64) Comparison {
	return Comparison{newPairs(logs(before), logs(after))}
}

// smallest is the value that smaller ones count as, since zero has no ratio. Records have durations
// in whole nanoseconds.
const smallest = 1e-9

func logs(values []float64) []float64 {
	logs := make([]float64, len(values))
	for i, v := range values {
		logs[i] = math.Log(max(v, smallest))
	}
	return logs
}
