package pluginhost

import "time"

// State says what a process is doing.
type State string

// The states.
const (
	// Serving: steps are judged.
	Serving State = "serving"
	// Starting: a process is being started; steps wait.
	Starting State = "starting"
	// BackingOff: processes ended too soon one after the other, so the next is started only
	// later; steps wait.
	BackingOff State = "backing off"
	// Stopped: the set is closed.
	Stopped State = "stopped"
)

// A Status describes one process of a set.
type Status struct {
	// Validators are the names of the instances in it.
	Validators []string
	// Plugin and Version are what the plugin says of itself.
	Plugin  string
	Version string
	// Path is the file that is executed.
	Path string
	// Checksum is that of the file; empty where it could not be read.
	Checksum string
	// PID is the id of the process; 0 while none serves.
	PID int
	// Started is when the last process was started.
	Started time.Time
	// Restarts is how many processes have been put in the place of one that was lost.
	Restarts uint64
	// Steps is how many steps were put to the validators, and Errors how many of them some
	// validator gave no verdict for.
	Steps  uint64
	Errors uint64
	State  State
	// LastError says why the last process was lost; empty when none was.
	LastError string
}

// Status returns the status of every process, in the config's order.
func (s *Set) Status() []Status {
	all := make([]Status, len(s.supervisors))
	for i, v := range s.supervisors {
		all[i] = v.status()
	}
	return all
}

func (s *supervisor) status() Status {
	s.mu.Lock()
	sum := s.instance.checksum
	s.mu.Unlock()
	checksum := sum() // may take a moment
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Validators: s.group.names, Checksum: checksum,
		Plugin: s.instance.name, Version: s.instance.version,
		Path: s.instance.path, Started: s.instance.started,
		Restarts: s.restarts, Steps: s.group.steps.Load(), Errors: s.group.errors.Load(),
		State: s.state, LastError: s.lastErr,
	}
	if s.state == Serving {
		st.PID = s.instance.process.pid()
	}
	return st
}
