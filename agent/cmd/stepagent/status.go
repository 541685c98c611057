package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
)

func printStatus(w io.Writer, s api.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) // Flush returns the error
	}
	row("agent", "%s, process %d, up %v", s.Version, s.PID, time.Duration(s.Uptime).Truncate(time.Second))
	row("address", "%s", addresses(s))
	row("config", "%s", s.Config)
	row("health", "%s", health(s.Trouble))
	row("last reload", "%s", lastReload(s.Reload))
	if len(s.Watch.Files) > 0 {
		row("reloads", "by itself when these change: %s", strings.Join(s.Watch.Files, ", "))
	}
	row("serves", "%s", strings.Join(s.Allow, ", "))
	row("connections", "%d open of at most %d, %d accepted, %d refused, %d not allowed",
		s.Connections.Open, s.Connections.Limit, s.Connections.Accepted, s.Connections.Refused, s.Connections.NotAllowed)
	row("sessions", "%d open, %d completed, %d incomplete, %d KiB of replies remembered",
		s.Sessions.Open, s.Sessions.Completed, s.Sessions.Incomplete, s.Sessions.RememberedBytes>>10)
	row("steps", "%d passed, %d failed, %d undecided, %d answered again, %d refused",
		s.Sessions.Passed, s.Sessions.Failed, s.Sessions.Undecided, s.Sessions.Replayed, s.Connections.RefusedMessages)
	row("store", "%s", storeState(s.Store))
	row("record", "%s", recordState(s.Record))
	if s.Fleet.Name != "" {
		row("fleet", "%s", fleetState(s.Fleet))
	}
	if lost := s.Log.Lost(); lost > 0 {
		row("log", "%d lines lost: %d were not taken in time, %d could not be written", lost, s.Log.Dropped, s.Log.Unwritten)
	}
	for _, c := range s.Certificates {
		row(strings.ReplaceAll(c.Role, "_", " "), "%s", certificateState(c))
	}
	if s.HTTP.Address != "" {
		row("http", "%s", httpState(s.HTTP))
	}
	row("validators", "%s (generation %d)", strings.Join(s.Names(), ", "), s.Generation)
	return t.Flush()
}

// addresses lists the listeners, with what is unusual about each.
func addresses(s api.Status) string {
	var list []string
	for _, l := range s.Listeners {
		text := l.Address
		switch l.TLS {
		case "on":
			text += " (TLS)"
		case "either":
			text += " (with and without TLS)"
		}
		if l.Absent != "" {
			text += " (not there yet)"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// certificateState describes a certificate: whose it is and how long it is valid.
func certificateState(c api.Certificate) string {
	until := c.NotAfter.UTC().Format(time.DateTime) + " UTC"
	switch {
	case c.NotAfter.IsZero():
		return fmt.Sprintf("%s, without an end", c.Subject)
	case c.DaysLeft < 0:
		return fmt.Sprintf("%s, EXPIRED %s", c.Subject, until)
	default:
		return fmt.Sprintf("%s, %d days left, until %s", c.Subject, c.DaysLeft, until)
	}
}

func health(trouble []string) string {
	if len(trouble) == 0 {
		return "good"
	}
	return "degraded: " + strings.Join(trouble, "; ")
}

// storeState describes what keeps sessions beyond the agent's process.
func storeState(s sessionstore.Status) string {
	if s.Dir == "" && s.Bucket == "" {
		return "off"
	}
	last := "no commit yet"
	if !s.LastCommit.IsZero() {
		last = "last commit " + s.LastCommit.Format(time.DateTime)
	}
	state := fmt.Sprintf("%s in %s, %d sessions, %d KiB, %s", s.Survives, s.Dir, s.Sessions, (s.Bytes+1023)>>10, last)
	if s.Bucket != "" {
		state = fmt.Sprintf("bucket %s of NATS with %d replicas, %d KiB; %s; %d sessions of this agent, %s; lost to other agents: %d steps",
			s.Bucket, s.Replicas, (s.Bytes+1023)>>10, s.Server, s.Sessions, last, s.Conflicts)
	}
	if s.Restored > 0 || s.DroppedWhy != "" {
		state += fmt.Sprintf("; restored at the start: %d", s.Restored)
	}
	switch {
	case s.Dropped > 0:
		state += fmt.Sprintf(", dropped: %d (%s)", s.Dropped, s.DroppedWhy)
	case s.DroppedWhy != "":
		state += fmt.Sprintf(", dropped: number unknown (%s)", s.DroppedWhy)
	}
	if len(s.Damaged) > 0 {
		state += "; set aside: " + strings.Join(s.Damaged, ", ")
	}
	for _, what := range s.Warnings {
		state += "; WARNING: " + what
	}
	if s.Trouble != "" {
		return "NOT STORED: " + s.Trouble + "; " + state
	}
	return state
}

// recordState describes the state of the agent's own record.
func recordState(s auditwriter.Status) string {
	count := fmt.Sprintf("%d events written, %d dropped", s.Written, s.Dropped)
	if s.Lost > 0 {
		count += fmt.Sprintf(", %d lost after they were written", s.Lost)
	}
	switch {
	case !s.Enabled:
		return "off"
	case s.Error != "":
		return fmt.Sprintf("NOT WRITTEN since %s: %s; %s", s.Since.Format(time.DateTime), s.Error, count)
	default:
		return filepath.Join(s.Dir, s.File) + ", " + count
	}
}

// fleetState describes what the agent does in NATS.
func fleetState(f api.Fleet) string {
	state := fmt.Sprintf("%s as board %s, %s", f.Name, f.Board, f.Connection)
	if f.Control {
		state += "; answers requests"
	}
	if r := f.Results; r.Enabled {
		state += fmt.Sprintf("; results: %d events published, %d dropped", r.Published, r.Dropped)
		if r.LagBytes > 0 {
			state += fmt.Sprintf(", %d KiB behind for %v", (r.LagBytes+1023)>>10, time.Duration(r.LagSeconds).Round(time.Second))
		}
		if r.Error != "" {
			state += ", NOT PUBLISHED since " + r.Since.Format(time.DateTime) + ": " + r.Error
		}
	}
	return state
}

// httpState describes the HTTP listener.
func httpState(h api.HTTP) string {
	changes := "token for changes in " + h.TokenFile
	if h.ReadOnly {
		changes = "read only"
	}
	return fmt.Sprintf("%s, %d viewers, %s", h.URL(), h.Viewers, changes)
}

func lastReload(r api.LastReload) string {
	switch {
	case r.Time.IsZero():
		return "none"
	case r.Error != "":
		return fmt.Sprintf("%s, refused: %s", r.Time.Format(time.DateTime), r.Error)
	default:
		return r.Time.Format(time.DateTime) + ", in force"
	}
}

func printValidators(w io.Writer, s api.Validators) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "VALIDATORS\tSTATE\tGENERATION\tPROCESS\tUP\tRESTARTS\tSTEPS\tKEPT\tERRORS\tP50\tP99\tMAX") // Flush returns the error
	for _, v := range s.Validators {
		process, up := "-", "-"
		if v.PID != 0 {
			process, up = fmt.Sprint(v.PID), time.Duration(v.Uptime).Truncate(time.Second).String()
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", strings.Join(v.Validators, ", "),
			v.State, v.Generation, process, up, v.Restarts, v.Steps, v.Kept.Hits, v.Errors,
			took(v.Latency.P50), took(v.Latency.P99), took(v.Latency.Max))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, v := range s.Validators {
		lines := fmt.Sprintf("\n%s: %s %s, %s\n", strings.Join(v.Validators, ", "), v.Plugin, v.Version, v.Path)
		if v.Checksum != "" {
			lines += "  " + v.Checksum + "\n"
		}
		lines += "  " + keptState(v.Status) + "\n"
		if trouble := v.Trouble(); trouble != "" {
			lines += "  " + trouble + "\n"
		} else if v.LastError != "" {
			lines += "  the last process was lost: " + v.LastError + "\n"
		}
		if _, err := io.WriteString(w, lines); err != nil {
			return err
		}
	}
	return nil
}

// keptState describes which verdicts of a process are kept.
func keptState(v pluginhost.Status) string {
	reads := strings.Join(v.Reads, ", ")
	switch {
	case v.Reads == nil:
		return "asked about every step: it does not declare what it reads"
	case slices.Contains(v.Reads, "at") || slices.Contains(v.Reads, "gap"):
		return "asked about every step: it reads " + reads
	case v.Kept.Keeping:
		return fmt.Sprintf("verdicts kept by %s: %d hits, %d misses, %d entries, %d KiB",
			cmp.Or(reads, "state alone"), v.Kept.Hits, v.Kept.Misses, v.Kept.Entries, (v.Kept.Bytes+1023)>>10)
	default:
		return "asked about every step: no verdicts are kept"
	}
}

// took formats a latency with about three digits.
func took(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(time.Millisecond).String()
	}
}
