package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// askTimeout bounds how long a running agent may take to answer; a reload starts processes.
const askTimeout = 30 * time.Second

func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "reload the config of the running agent",
		Long: `reload waits until the new config is in force. The agent starts and checks new validators first.
On any error nothing changes, and reload prints the error and ends with 1.`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := ask(cmd, daemon.AskReload)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "reloaded %s; generation %d of the validators is in force\n",
				status.Config, status.Generation)
			return err
		},
	}
	addSettings(cmd, "port", "admin-socket")
	addInstance(cmd)
	return cmd
}

func newStatus() *cobra.Command {
	cmd := newQuestion("status", "show the state of the running agent", printStatus,
		func(s daemon.Status) any { return s }, func(s daemon.Status) error {
			if len(s.Trouble) > 0 {
				return errDegraded
			}
			return nil
		})
	cmd.Long = `status shows the state of the running agent. It ends with 0 when the agent is healthy, with 3
when it is degraded, and with 1 when no agent answers.`
	return cmd
}

func newValidators() *cobra.Command {
	cmd := newQuestion("validators", "show the validators of the running agent", printValidators,
		func(s daemon.Status) any { return s.Validators }, func(daemon.Status) error { return nil })
	cmd.AddCommand(newCheckValidator())
	return cmd
}

// newQuestion returns a command that shows a part of the running agent's status, and then ends as
// verdict says.
func newQuestion(use, short string, show func(io.Writer, daemon.Status) error, part func(daemon.Status) any,
	verdict func(daemon.Status) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := ask(cmd, daemon.AskStatus)
			if err != nil {
				return err
			}
			if asJSON, err := cmd.Flags().GetBool("json"); err != nil || asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return cmp.Or(err, enc.Encode(part(status)), verdict(status))
			}
			return cmp.Or(show(cmd.OutOrStdout(), status), verdict(status))
		},
	}
	addSettings(cmd, "port", "admin-socket")
	addInstance(cmd)
	cmd.Flags().Bool("json", false, "write JSON")
	return cmd
}

// ask puts a question to the agent that the command's flags and config point to.
func ask(cmd *cobra.Command, question func(context.Context, string) (daemon.Status, error)) (daemon.Status, error) {
	socket, err := socketOf(cmd)
	if err != nil {
		return daemon.Status{}, err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), askTimeout)
	defer cancel()
	status, err := question(ctx, socket)
	return status, nameInstances(cmd, err)
}

// socketOf returns the admin socket of the agent that is meant. The config file may have changed
// since the agent read it, or have become wrong: it does not say where the agent is, but the agent
// says which file it has read. On a reload the agent says itself, and in its log, what is wrong.
func socketOf(cmd *cobra.Command) (string, error) {
	from := sources(cmd)
	from.AnyOwner = true // nothing that the config names is executed
	wanted := daemon.Wanted{ConfigFile: from.File, Dirs: daemon.SearchDirs(), PID: mainPID(),
		Exact: isSet(cmd, "port", "STEPAGENT_PORT") || isSet(cmd, "admin-socket", "STEPAGENT_ADMIN_SOCKET")}
	c, wrong := config.Load(from)
	if wrong != nil {
		from.File = ""
		var err error
		if c, err = config.Load(from); err != nil {
			return "", wrong
		}
	}
	wanted.Socket, wanted.Port = c.Admin.Socket, c.Port
	if wrong != nil && !wanted.Exact {
		wanted.Port = -1
	}
	socket, err := daemon.Find(cmd.Context(), wanted)
	if err != nil && wrong != nil {
		return "", wrong
	}
	return socket, err
}

// isSet reports whether a flag or its variable has been given.
func isSet(cmd *cobra.Command, flag, variable string) bool {
	return cmd.Flags().Changed(flag) || os.Getenv(variable) != ""
}

// mainPID is the agent for which systemd runs the command as ExecReload, systemd.exec(5); 0 for none.
func mainPID() int {
	pid, err := strconv.Atoi(os.Getenv("MAINPID"))
	if err != nil {
		return 0
	}
	return pid
}

func printStatus(w io.Writer, s daemon.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) // Flush tells
	}
	row("agent", "%s, process %d, up %v", s.Version, s.PID, time.Duration(s.Uptime).Truncate(time.Second))
	row("address", "%s", address(s))
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
	row("record", "%s", recordState(s.Record))
	if lost := s.Log.Lost(); lost > 0 {
		row("log", "%d lines lost: %d were not taken in time, %d could not be written", lost, s.Log.Dropped, s.Log.Unwritten)
	}
	row("validators", "%s (generation %d)", strings.Join(s.Names(), ", "), s.Generation)
	return t.Flush()
}

// errDegraded ends the command status when the agent is degraded.
var errDegraded = errors.New("the agent is degraded")

func address(s daemon.Status) string {
	if s.Absent != "" {
		return s.Address + " (not there yet)"
	}
	return s.Address
}

func health(trouble []string) string {
	if len(trouble) == 0 {
		return "good"
	}
	return "degraded: " + strings.Join(trouble, "; ")
}

// recordState says how the agent's own record fares.
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

func lastReload(r daemon.LastReload) string {
	switch {
	case r.Time.IsZero():
		return "none"
	case r.Error != "":
		return fmt.Sprintf("%s, refused: %s", r.Time.Format(time.DateTime), r.Error)
	default:
		return r.Time.Format(time.DateTime) + ", in force"
	}
}

func printValidators(w io.Writer, s daemon.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "VALIDATORS\tSTATE\tGENERATION\tPROCESS\tUP\tRESTARTS\tSTEPS\tKEPT\tERRORS\tP50\tP99\tMAX") // Flush tells
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

// keptState says which of the verdicts of a process are kept.
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

// took writes a latency to three digits.
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
