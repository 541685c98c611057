package htmlkit

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/record"
)

// Words are the words that the pages of a language have in common.
type Words struct {
	// Marks of the verdicts.
	Marks map[record.Verdict]string
	// Results by outcome.
	Results map[record.Outcome]string
	// Columns of tables of steps.
	ColNumber, ColStep, ColResult, ColWhy, ColTime, ColTimeout, ColInterval, ColPassed, ColRest, ColMedian string

	Steps, Procedure, Checksum, Client, Agent, Address, Session, Started, Duration string
	// Milliseconds and Seconds: number.
	Milliseconds, Seconds string
}

// Time formats a measured duration.
func (w Words) Time(d time.Duration) string {
	number, unit := phrase.Measure(d)
	if unit == "ms" {
		return fmt.Sprintf(w.Milliseconds, number)
	}
	return fmt.Sprintf(w.Seconds, number)
}

// Wait formats a declared duration without rounding it.
func (w Words) Wait(d time.Duration) string { return fmt.Sprintf(w.Seconds, phrase.Seconds(d)) }
