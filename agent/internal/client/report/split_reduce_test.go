package report

import (
	"testing"
	"time"
)

// TestReduce: what the agent counted beyond the client's wait is subtracted, remainders first,
// and no part becomes negative.
func TestReduce(t *testing.T) {
	for over, want := range map[time.Duration]Part{
		0:   {Agent: 1, Fault: 400, Queue: 10, Validators: 20},
		1:   {Fault: 400, Queue: 10, Validators: 20},
		50:  {Fault: 351, Queue: 10, Validators: 20},
		405: {Queue: 6, Validators: 20},
		999: {},
	} {
		p := Part{Agent: 1, Fault: 400, Queue: 10, Validators: 20}
		if p.reduce(over); p != want {
			t.Errorf("%d too much: %+v, want %+v", over, p, want)
		}
	}
}
