package verify

import "github.com/stepagent/stepagent/agent/internal/client/record"

// resumption returns the line of the last resumption of the run before which the capture has no packet, as
// one that was taken with stepctl run --resume --pcap; 0 for none. Client and capture have one clock then.
func (c *recordCheck) resumption() int {
	start := c.recordedRun.Start.Time
	for line := len(c.log.Events); line > 1; line-- {
		interrupted := c.log.Events[line-2]
		if c.log.Events[line-1].Kind == record.KindResumed && c.capture.First.After(start.Add(interrupted.At)) {
			return line
		}
	}
	return 0
}
