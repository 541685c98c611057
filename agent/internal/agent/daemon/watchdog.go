package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Of the time that systemd waits, a quarter passes between two checks, and a check may take
// half, so that the next sign of life comes in time from an agent that is only slow.
const (
	checksPerWatchdog = 4
	watchdogsPerCheck = 2
)

// watch tells systemd that the agent is alive for as long as it is: for as long as steps go
// through the listeners, the sessions and the judge. A mere ticker would go on ticking in an
// agent that is deadlocked. It returns when the context ends.
func (a *Agent) watch(ctx context.Context) {
	within := a.options.Service.WatchdogTimeout()
	tick := time.NewTicker(within / checksPerWatchdog)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := a.check(ctx, within/watchdogsPerCheck); err == nil {
			a.options.Service.Alive(a.summary()) // which needs every lock on a step's way
		} else if ctx.Err() == nil {
			a.options.Log.Error("the agent does not do its work; unless it recovers, systemd will restart it",
				slog.Any("error", err))
		}
	}
}

func (a *Agent) check(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return a.server.Probe(ctx)
}

// summary says in one line what the agent does, for systemctl status.
func (a *Agent) summary() string {
	s := a.Status()
	does := "serving " + s.Address
	if s.Absent != "" {
		does = fmt.Sprintf("waiting for the address %s (%s)", s.Address, s.Absent)
	}
	line := fmt.Sprintf("%s; open connections: %d, open sessions: %d; validators: %s (generation %d)",
		does, s.Connections.Open, s.Sessions.Open, strings.Join(s.Names(), ", "), s.Generation)
	if s.Reload.Error != "" {
		line += "; the last reload was refused: " + s.Reload.Error
	}
	for _, what := range s.Trouble {
		line += "; " + what
	}
	return line
}

// absent says why the address cannot be reached; empty when it can.
func (a *Agent) absent() string {
	if a.own == nil {
		return ""
	}
	return a.own.absent()
}

// addresses returns the addresses that the agent listens on.
func (a *Agent) addresses() string {
	var list []string
	for _, listener := range a.listeners {
		list = append(list, listener.Addr().String())
	}
	return strings.Join(list, ", ")
}
