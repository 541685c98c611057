package html

import (
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/report"
)

// The parts that have a share add up to the wait for the replies; those that a run rarely has are left out
// without them.
func TestPartsAddUp(t *testing.T) {
	usual := report.Part{Waited: 10, Link: 1, Queue: 2, Validators: 3, Agent: 4}
	rare := report.Part{Waited: 40, Link: 1, Queue: 2, Validators: 3, Agent: 4, Fault: 10, Away: 20}
	for rows, total := range map[int]report.Part{6: usual, 8: rare} {
		for _, w := range []*words{english(), korean()} {
			var sum time.Duration
			all := parts(w, &report.Split{Total: total})
			for _, p := range all {
				if p.Share != "–" {
					sum += p.Time
				}
			}
			if len(all) != rows || sum != total.Waited {
				t.Errorf("%d parts, together %d of %d: %+v", len(all), sum, total.Waited, all)
			}
		}
	}
}
