package daemon

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

func secondsOf(d time.Duration) jsonl.Seconds {
	return jsonl.Seconds(max(d, 0).Round(time.Millisecond))
}

// byNow returns the time by the clock as it is now. Between the two the clock may have been set: a
// board without a clock of its own starts in 1970.
func byNow(now, then time.Time) time.Time {
	if then.IsZero() {
		return then
	}
	return now.Add(then.Sub(now)) // the difference is that of the monotonic clock
}

// Status returns the agent's state as it is now, with the checksums of the validators' programs, for
// which it may wait a moment.
func (a *Agent) Status() api.Status {
	status, set := a.state()
	for i, sum := range set.Checksums() {
		status.Validators[i].Checksum = sum
	}
	return status
}

// state returns the state without checksums, and the validators in force. It never waits for long.
func (a *Agent) state() (api.Status, *pluginhost.Set) {
	now := time.Now()
	store, fleet := storeStatus(a.store, now), a.fleet.status(now)
	a.mu.Lock()
	defer a.mu.Unlock()
	generation := a.judge.Chain().Generation()
	listeners := a.listenerStates()
	status := api.Status{
		Version: a.options.Version, PID: os.Getpid(), Address: a.addresses(), Absent: absent(listeners), Listeners: listeners, Allow: a.config.Allow,
		Config: source(a.config), ConfigFile: a.config.File(), Started: byNow(now, a.started), Uptime: secondsOf(now.Sub(a.started)),
		Generation: generation, Reload: a.reload, Watch: a.auto.status(), Connections: a.server.Stats(), Sessions: a.sessions.Stats(), Store: store, Fleet: fleet,
		Goroutines: runtime.NumGoroutine(), HTTP: a.observers.status(),
	}
	status.Reload.Time = byNow(now, a.reload.Time)
	for _, s := range a.set.Status() {
		up := secondsOf(now.Sub(s.Started))
		s.Started, s.Retry = byNow(now, s.Started), byNow(now, s.Retry)
		status.Validators = append(status.Validators, api.Process{Generation: generation, Status: s, Uptime: up})
	}
	if a.record != nil {
		status.Record = a.record.Status()
		status.Record.Since = byNow(now, status.Record.Since)
	}
	if a.options.Lines != nil {
		status.Log = a.options.Lines.Stats()
	}
	status.Trouble = troubles(status)
	infos, today, trouble := a.certificates.state()
	status.Trouble = append(status.Trouble, trouble...)
	for _, info := range infos {
		status.Certificates = append(status.Certificates, api.Certificate{Info: info, DaysLeft: info.DaysLeft(today)})
	}
	if a.serving.Load() { // a request may come before the start is over
		if lost := a.admin.lostSocket(); lost != "" {
			status.Trouble = append(status.Trouble, "the admin socket has gone: "+lost)
		}
	}
	return status, a.set
}

// troubles returns what is wrong, in one line each.
func troubles(s api.Status) (list []string) {
	for _, l := range s.Listeners {
		if l.Absent != "" {
			list = append(list, "no client reaches "+l.Address+": "+l.Absent)
		}
	}
	for _, v := range s.Validators {
		if what := v.Trouble(); what != "" {
			list = append(list, strings.Join(v.Validators, ", ")+": "+what)
		}
	}
	if s.Store.Trouble != "" {
		list = append(list, "sessions cannot be stored: "+s.Store.Trouble)
	}
	if what := s.Record.Trouble(); what != "" {
		list = append(list, what)
	}
	if s.Fleet.Trouble != "" {
		list = append(list, "NATS is away: "+s.Fleet.Trouble)
	}
	if what := s.Fleet.Results.Trouble(); what != "" {
		list = append(list, what)
	}
	if s.HTTP.Trouble != "" {
		list = append(list, "HTTP is not served: "+s.HTTP.Trouble)
	}
	if s.Watch.Error != "" {
		list = append(list, "changes of files are found late: "+s.Watch.Error)
	}
	if s.Log.Error != "" {
		list = append(list, "the log is not written: "+s.Log.Error)
	}
	return list
}

// summary returns the state in one line, for systemctl status.
func (a *Agent) summary() string {
	s, _ := a.state()
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

// absent returns why clients cannot reach an address; empty when they can reach all.
func absent(listeners []api.Listener) string {
	var list []string
	for _, l := range listeners {
		switch {
		case l.Absent == "":
		case len(listeners) == 1:
			list = append(list, l.Absent)
		default:
			list = append(list, l.Address+": "+l.Absent)
		}
	}
	return strings.Join(list, "; ")
}

// listenerStates returns the state of each listener.
func (a *Agent) listenerStates() (states []api.Listener) {
	for _, l := range a.listeners {
		states = append(states, api.Listener{Address: l.Addr().String(), TLS: l.tls, Absent: l.absent()})
	}
	return states
}

// addresses returns the addresses that the agent listens on.
func (a *Agent) addresses() string {
	var list []string
	for _, listener := range a.listeners {
		list = append(list, listener.Addr().String())
	}
	return strings.Join(list, ", ")
}

// recordHead is the first line of each file of the agent's own record.
func (a *Agent) recordHead() auditlog.Open {
	host, _ := os.Hostname() // empty for a machine without a name
	return auditlog.Open{Format: auditlog.Format, Agent: a.options.Version, Host: host, Address: a.addresses(), Started: a.started}
}
