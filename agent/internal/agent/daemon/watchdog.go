package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
)

// A check runs four times in the time that systemd waits and may take half of it, so that the next
// sign of life comes in time from an agent that is only slow.
const (
	checksPerWatchdog = 4
	watchdogsPerCheck = 2
)

// feedWatchdog tells systemd that the agent is alive while check succeeds: while steps pass through
// the listeners, the sessions and the judge. A ticker alone would continue in an agent that is
// deadlocked. It returns when the context ends.
func feedWatchdog(ctx context.Context, service *systemd.Service, check func(context.Context) error, summary func() string, log *slog.Logger) {
	within := service.WatchdogTimeout()
	if within <= 0 {
		return
	}
	every(ctx, within/checksPerWatchdog, func() {
		bounded, cancel := context.WithTimeout(ctx, within/watchdogsPerCheck)
		defer cancel()
		if err := check(bounded); err == nil {
			service.Alive(summary()) // which needs every lock on a step's way
		} else if ctx.Err() == nil {
			log.Error("the agent does not do its work; unless it recovers, systemd will restart it",
				slog.Any("error", err))
		}
	})
}

// every calls a function at each interval until the context ends.
func every(ctx context.Context, interval time.Duration, call func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			call()
		case <-ctx.Done():
			return
		}
	}
}
