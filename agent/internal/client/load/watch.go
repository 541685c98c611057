package load

import "time"

// every calls f at each interval until done is closed.
func every(interval time.Duration, done <-chan struct{}, f func(now time.Time)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			f(now)
		}
	}
}

// watchTimeouts ends waits that are longer than Options.Wait. It checks all clients at intervals,
// since setting a deadline for each step would cost more than the step.
func (r *run) watchTimeouts(done <-chan struct{}) {
	every(min(max(r.options.Wait/20, 5*time.Millisecond), time.Second), done, func(now time.Time) {
		for _, c := range r.clients {
			c.expire(now.Add(-r.options.Wait))
		}
	})
}

// expire ends the wait for the reply to a request sent before the given time.
func (c *client) expire(before time.Time) {
	if !c.sentBefore(before) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 && c.sentBefore(before) {
		c.unpark(&partial{}, true)
	}
	if c.conn != nil {
		_ = c.conn.SetReadDeadline(time.Now()) // fails only if closed
	}
}

// markSent records when the request in flight was sent, on the monotonic clock.
func (c *client) markSent(sent time.Time) { c.sent.Store(int64(sent.Sub(c.run.made))) }

// sentBefore reports whether a request is in flight that was sent before the given time.
func (c *client) sentBefore(before time.Time) bool {
	sent := c.sent.Load()
	return sent != 0 && sent <= int64(before.Sub(c.run.made))
}

// reportProgress calls Options.Progress until the load is over.
func (r *run) reportProgress(done <-chan struct{}) {
	if r.options.Progress != nil && r.options.ProgressInterval > 0 {
		every(r.options.ProgressInterval, done, func(now time.Time) { r.options.Progress(r.result(now)) })
	}
}

// result adds up the tallies.
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
