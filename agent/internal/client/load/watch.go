package load

import "time"

// watch ends waits that have lasted too long. It looks at all clients once in a while, since
// a deadline set at each step would cost more than the step.
func (r *run) watch(done <-chan struct{}) {
	tick := time.NewTicker(min(max(r.options.Wait/20, 5*time.Millisecond), time.Second))
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			for _, c := range r.clients {
				c.expire(now.Add(-r.options.Wait))
			}
		}
	}
}

// expire ends the wait for a reply to a request that was sent before.
func (c *client) expire(before time.Time) {
	if !c.waits(before) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 && c.waits(before) {
		c.unpark(&handover{}, true)
	}
	if c.conn != nil {
		_ = c.conn.SetReadDeadline(time.Now()) // fails only when closed
	}
}

// note takes note that a request is sent, on the monotonic clock: the other one may be set meanwhile.
func (c *client) note(sent time.Time) { c.sent.Store(int64(sent.Sub(c.run.made))) }

// waits reports whether a request is in flight that was sent before.
func (c *client) waits(before time.Time) bool {
	sent := c.sent.Load()
	return sent != 0 && sent <= int64(before.Sub(c.run.made))
}

// report calls Progress until the load is over.
func (r *run) report(done <-chan struct{}) {
	if r.options.Progress == nil || r.options.ProgressInterval <= 0 {
		return
	}
	tick := time.NewTicker(r.options.ProgressInterval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			r.options.Progress(r.result(now))
		}
	}
}

// result adds up what the clients have counted by now.
func (r *run) result(now time.Time) Result {
	result := Result{Clients: r.options.Clients, Rate: r.options.Rate, latency: newHistogram(r.options.Wait)}
	for _, t := range r.tallies {
		t.addTo(&result)
	}
	if !r.begins.IsZero() {
		if now.After(r.ends) {
			now = r.ends
			if result.last.After(now) {
				now = result.last
			}
		}
		result.Elapsed = max(now.Sub(r.begins), 0)
	}
	return result
}
