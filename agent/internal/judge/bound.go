package judge

import (
	"context"
	"fmt"
	"time"

	"github.com/stepagent/stepagent/plugins/budget"
)

// A Bound is the time for one step.
type Bound struct {
	// Parent ends when nobody wants the judgement any more.
	Parent context.Context
	// Deadline is Limit after the step was put to the chain.
	Deadline time.Time
	Limit    time.Duration
}

// Context returns a context that ends at the bound. Release it.
func (b Bound) Context() *budget.Context { return budget.New(b.Parent, b.Deadline, b.Late) }

// Late is the error of a step that has reached its deadline.
func (b Bound) Late() error {
	return fmt.Errorf("no verdict within %v", b.Limit.Round(time.Millisecond))
}
