package pluginhost

import (
	"fmt"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
)

// State is the state of a supervised process.
type State string

// The states.
const (
	// Serving: steps are judged.
	Serving State = "serving"
	// Starting: a process is being started; steps wait.
	Starting State = "starting"
	// BackingOff: processes failed one after the other, so the next start is delayed; steps wait.
	BackingOff State = "backing off"
	// Stopped: the set is closed.
	Stopped State = "stopped"
)

// A Status describes one process of a set.
type Status struct {
	// Validators are the names of the instances in it.
	Validators []string `json:"validators"`
	// Plugin and Version are what the plugin says of itself.
	Plugin  string `json:"plugin"`
	Version string `json:"version"`
	// Path is the file that is executed.
	Path string `json:"path"`
	// Checksum is that of the file, see Set.Checksums.
	Checksum string `json:"checksum"`
	State    State  `json:"state"`
	// PID is the id of the process; 0 while none serves.
	PID int `json:"pid"`
	// Started is when the last process was started.
	Started time.Time `json:"started"`
	// Restarts is how many processes have replaced one that was lost.
	Restarts uint64 `json:"restarts"`
	// Failures is how many processes in a row have failed, while none serves; the next one is
	// started at Retry.
	Failures int       `json:"failures"`
	Retry    time.Time `json:"retry,omitzero"`
	// Refusing says that the breaker is open: steps are refused at once.
	Refusing bool `json:"refusing"`
	// Steps counts the steps that were judged, by a kept verdict or by a call, and Errors those for
	// which some validator gave no verdict.
	Steps  uint64 `json:"steps"`
	Errors uint64 `json:"errors"`
	// Reads are the names of the inputs that the validators are sent; nil where one of them has
	// not declared what it reads, and all are sent.
	Reads []string `json:"reads"`
	// Kept says which verdicts are kept.
	Kept verdictcache.Status `json:"kept"`
	// Latency is how long the calls took, including the wait for a process.
	Latency latency.Summary `json:"latency"`
	// LastError says why the last process was lost; empty when none was.
	LastError string `json:"last_error,omitempty"`
}

// Trouble says in one line what is wrong with the process; empty when nothing is.
func (s Status) Trouble() string {
	switch {
	case s.State == BackingOff && s.Refusing:
		return fmt.Sprintf("steps are refused: %d processes failed in a row; the next is started at %s; the last one: %s",
			s.Failures, s.Retry.Format(time.TimeOnly), s.LastError)
	case s.State == BackingOff || s.State == Starting:
		return fmt.Sprintf("steps wait for the next process: the last one: %s", s.LastError)
	case s.Kept.Differing > 0:
		return fmt.Sprintf("%d steps got two different verdicts when they were judged twice; no verdicts are kept", s.Kept.Differing)
	default:
		return ""
	}
}

// Checksums returns the checksums of what the processes execute, in the config's order. It waits a moment
// for those that are asked for the first time. One is empty where the file cannot be read, has been
// written to since the process started, or is over 256 MiB.
func (s *Set) Checksums() []string {
	all := make([]string, len(s.supervisors))
	for i, v := range s.supervisors {
		v.mu.Lock()
		image := v.instance.image
		v.mu.Unlock()
		all[i] = image.Checksum(v.host.checksums)
	}
	return all
}

// Status returns the status of every process, in the config's order, without the checksums. It never
// waits.
func (s *Set) Status() []Status {
	all := make([]Status, len(s.supervisors))
	for i, v := range s.supervisors {
		all[i] = v.status()
	}
	return all
}

func (s *supervisor) status() Status {
	counts := s.counts()
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.instance
	st := Status{
		Validators: s.group.names, Plugin: in.name, Version: in.version, Path: s.plugin.program.Path,
		State: s.state, Started: in.process.Started(), Restarts: s.restarts, Failures: s.failures,
		Refusing: counts.Refusing, Steps: counts.Steps, Errors: counts.Errors,
		Kept: counts.Kept, Latency: counts.Took.Summary(), LastError: s.lastErr,
	}
	if in.declared {
		st.Reads = append([]string{}, in.reads.Names()...)
	}
	switch s.state {
	case Serving:
		st.PID = in.process.PID()
	case BackingOff:
		st.Retry = s.retryAt
	}
	return st
}
