package stream

import (
	"context"
	"fmt"
	"time"
)

const (
	// watchInterval is how often a stream is checked, and how long a process may keep steps waiting
	// in silence before it is pinged.
	watchInterval = 200 * time.Millisecond
	// hungTime is how long a process must have sent nothing at all before a step past its deadline
	// proves that it hangs: with deadlines of milliseconds, and all cores busy, a sound plugin misses one.
	hungTime = 400 * time.Millisecond
	// lateTime is how long after its deadline such a step must be unanswered: a validator may use all
	// its time, and its answer is then on the way.
	lateTime = 200 * time.Millisecond
	// stuckTime is how long after its deadline a step may stay unanswered while others are answered.
	// The end of a context does not stop a validator's code, so such a step is likely to run forever.
	stuckTime = 2 * time.Second
)

// watch loses the stream when the process hangs. It returns when the stream is lost.
func (s *Stream) watch(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	pinged := time.Now()
	for {
		select {
		case <-s.lost:
			return
		case <-tick.C:
		}
		now := time.Now()
		silent, err := s.checkCalls(now)
		if err == nil && (silent || now.Sub(pinged) >= s.options.PingInterval) {
			pinged = now
			if err = s.conn.ping(ctx, s.options.PingTimeout); s.heardSince(now) {
				err = nil // it is busy with verdicts
			}
		}
		if err != nil {
			s.Lose(err)
			return
		}
	}
}

func (s *Stream) heardSince(then time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.After(then)
}

// checkCalls reports whether steps wait for a process that is silent, and returns an error when it has
// left one unanswered for too long.
func (s *Stream) checkCalls(now time.Time) (silent bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.sent {
		late, waited := now.Sub(c.deadline), now.Sub(c.sentAt)
		if late >= lateTime && s.heard.Before(c.sentAt) && waited >= hungTime {
			return false, fmt.Errorf("the plugin hangs: it left a step unanswered for %v and said nothing since",
				waited.Round(time.Millisecond))
		}
		if late > stuckTime {
			return false, fmt.Errorf("the plugin is stuck on a step: no verdict %v after the deadline",
				late.Round(time.Millisecond))
		}
		if waited >= watchInterval && now.Sub(s.heard) >= watchInterval {
			silent = true
		}
	}
	return silent, nil
}
