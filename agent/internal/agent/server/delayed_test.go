package server_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/validator"
)

// TestDelayedReplyPreventsParking: replies that are held back until just when the connection would be
// parked, see parkAfter, are sent by another goroutine meanwhile.
func TestDelayedReplyPreventsParking(t *testing.T) {
	t.Parallel()
	rounds := soaktest.Repetitions(t, 400, 15)
	h := start(t, defaults(), faulty(validator.Fault{Kind: validator.FaultDelay, Delay: 19900 * time.Microsecond}))
	var clients sync.WaitGroup
	for range 50 {
		p := h.dial(t)
		clients.Go(func() {
			for range rounds {
				p.send(`{"step_id":2}`)
				p.expect(`"step_id":2`)
			}
		})
	}
	clients.Wait()
}
