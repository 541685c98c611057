package api

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/eventstream"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

const (
	changeInterval    = 250 * time.Millisecond
	changesEachStatus = 4
	maxChanges        = 1000 // sessions in an event
	// lingerTime is how long changes are collected after the last viewer has gone, so that one that
	// connects again continues.
	lingerTime = 10 * time.Second
)

// A Feed publishes what happens in the agent, while there are viewers.
type Feed struct {
	Stream   *eventstream.Stream
	Sessions *session.Manager
	Status   func() Status
	Started  time.Time // of the agent
	Log      *slog.Logger
	// Latency returns quantiles of the time from a request to its reply since the last call; false
	// without a step. Nil for none.
	Latency func() (median, p99 time.Duration, ok bool)

	failures uint64 // that have been published
}

// Run publishes until the context ends. Without viewers it sleeps.
func (f *Feed) Run(ctx context.Context) {
	for {
		select {
		case <-f.Stream.Arrivals():
			f.follow(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// follow publishes until there have been no viewers for lingerTime.
func (f *Feed) follow(ctx context.Context) {
	f.Sessions.Observe(true)
	_, f.failures = f.Sessions.Failures(0)
	defer func() {
		f.Sessions.Observe(false)
		f.Stream.Break()
	}()
	tick := time.NewTicker(changeInterval)
	defer tick.Stop()
	seen := time.Now()
	for n := 0; ; n++ {
		f.publish(n%changesEachStatus == 0)
		f.welcome()
		if f.Stream.Watched() {
			seen = time.Now()
		} else if time.Since(seen) > lingerTime {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// publish publishes what has happened since the last call.
func (f *Feed) publish(status bool) {
	changed := f.Sessions.Changes(maxChanges)
	if changed.Lost > 0 {
		f.Stream.Break() // viewers would keep sessions that have ended
	}
	last, count := f.Sessions.Failures(f.failures)
	c := f.change()
	c.Sessions, c.Waiting, c.LeftOut = changed.Views, changed.Waiting, changed.Unseen
	c.Failures, c.FailuresLeftOut = last, count-f.failures-uint64(len(last))
	f.failures = count
	if f.Latency != nil {
		if median, p99, ok := f.Latency(); ok {
			c.Median, c.P99 = secondsOf(median), secondsOf(p99)
		}
	}
	f.report(f.Stream.Publish(eventstream.Event{Kind: eventChange, Body: c}))
	if status {
		f.report(f.Stream.Publish(eventstream.Event{Kind: eventStatus, Body: f.Status()}))
	}
}

// welcome sends the state to viewers that need it.
func (f *Feed) welcome() {
	if !f.Stream.Newcomers() {
		return
	}
	views, total := oldest(f.Sessions.Views(), maxSessions)
	state := []eventstream.Event{
		{Kind: eventStart, Body: Start{SessionsLeftOut: total - len(views)}},
		{Kind: eventStatus, Body: f.Status()},
	}
	c := f.change()
	c.Failures, _ = f.Sessions.Failures(0)
	state = append(state, eventstream.Event{Kind: eventChange, Body: c})
	c.Failures = nil
	for part := range slices.Chunk(views, maxChanges) {
		c.Sessions = part
		state = append(state, eventstream.Event{Kind: eventChange, Body: c})
	}
	f.report(f.Stream.Welcome(state...))
}

// change returns an event with the counters as they are now.
func (f *Feed) change() Change {
	now, stats := time.Now(), f.Sessions.Stats()
	return Change{Time: now, Uptime: secondsOf(now.Sub(f.Started)), Passed: stats.Passed, Failed: stats.Failed, Undecided: stats.Undecided}
}

// report logs an event that could not be encoded.
func (f *Feed) report(err error) {
	if err != nil {
		f.Log.Error("an event is not sent to viewers", slog.Any("error", err))
	}
}
