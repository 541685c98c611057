package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/status"

	"github.com/stepagent/stepagent/plugins/sdk"
)

const (
	// watchInterval is how often a link is looked at, and how long a process may keep steps
	// waiting without a word before it is asked whether it is well.
	watchInterval = 200 * time.Millisecond
	// hungTime is how long a process must have said nothing at all for a step past its deadline
	// to prove that it hangs: with deadlines of milliseconds, and all cores busy, the best of
	// plugins misses one.
	hungTime = 400 * time.Millisecond
	// lateTime is how long after its deadline such a step has not been answered: a validator that
	// takes all the time that it is given answers at the deadline, and the answer is on its way.
	lateTime = 200 * time.Millisecond
	// stuckTime is how long after its deadline a step may stay unanswered while others are
	// answered. A context that ends does not stop a validator's code, so such a step is
	// likely to run for ever.
	stuckTime = 2 * time.Second
)

// watch gives the link up when the process hangs. It returns when the link is lost.
func (l *link) watch(ctx context.Context, o Options) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	pinged := time.Now()
	for {
		select {
		case <-l.lost:
			return
		case <-tick.C:
		}
		now := time.Now()
		silent, err := l.look(now)
		if err == nil && (silent || now.Sub(pinged) >= o.PingInterval) {
			pinged = now
			if err = l.ping(ctx, o.PingTimeout); l.heardSince(now) {
				err = nil // it is busy, and does what it is there for
			}
		}
		if err != nil {
			l.lose(err)
			return
		}
	}
}

func (l *link) heardSince(then time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard.After(then)
}

func (l *link) ping(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := ping(ctx, l.conn)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the plugin hangs: it did not answer a ping within %v", timeout)
	}
	if err != nil {
		return fmt.Errorf("the plugin does not answer a ping: %s", brief(status.Convert(err).Message(), sdk.MaxErrorBytes))
	}
	return nil
}

// look reports whether steps wait for a process that is silent, and returns an error when
// it has left one unanswered for too long.
func (l *link) look(now time.Time) (silent bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.sent {
		over := now.Sub(w.deadline)
		if over >= lateTime && l.heard.Before(w.sentAt) && now.Sub(w.sentAt) >= hungTime {
			return false, fmt.Errorf("the plugin hangs: it left a step unanswered for %v and said nothing since",
				now.Sub(w.sentAt).Round(time.Millisecond))
		}
		if over > stuckTime {
			return false, fmt.Errorf("the plugin is stuck on a step: no verdict %v after the deadline",
				over.Round(time.Millisecond))
		}
		if now.Sub(w.sentAt) >= watchInterval && now.Sub(l.heard) >= watchInterval {
			silent = true
		}
	}
	return silent, nil
}
