package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Wanted describes which of the running agents a command is for. An agent's own status overrides a
// config that has changed since the agent read it.
type Wanted struct {
	// Socket and Port come from the command line, else from the config; a Port below 0 is unknown.
	// Exact is set when they come from the command line or the environment.
	Socket string
	Port   int
	Exact  bool
	// ConfigFile is the path of the config that was named; empty for none.
	ConfigFile string
	// PID is the main process of the service whose systemd runs the command; 0 for none.
	PID int
	// Dirs are the folders to search.
	Dirs []string
}

// findTime bounds how long one agent may take to say which one it is.
const findTime = 2 * time.Second

// Find returns the admin socket of the wanted agent. An error lists the agents that run.
func Find(ctx context.Context, w Wanted) (string, error) {
	expected := w.expected()
	if w.Exact && w.PID == 0 {
		return expected, nil
	}
	var agents []runningAgent
	for _, dir := range w.Dirs {
		for _, socket := range AdminSockets(dir) {
			next := identify(ctx, socket)
			if !slices.ContainsFunc(agents, func(f runningAgent) bool { return f.status.PID != 0 && f.status.PID == next.status.PID }) {
				agents = append(agents, next) // but not twice where a link leads to the same socket
			}
		}
	}
	by := func(is func(runningAgent) bool) (string, bool) {
		if i := slices.IndexFunc(agents, is); i >= 0 {
			return agents[i].socket, true
		}
		return "", false
	}
	if socket, ok := by(func(f runningAgent) bool { return w.PID != 0 && f.status.PID == w.PID }); ok {
		return socket, nil
	}
	if w.Exact {
		return expected, nil
	}
	same := func(f runningAgent) bool { return w.ConfigFile != "" && isSameFile(f.status.ConfigFile, w.ConfigFile) }
	if socket, ok := by(func(f runningAgent) bool { return same(f) && f.socket == expected }); ok {
		return socket, nil
	}
	if socket, ok := by(same); ok {
		return socket, nil
	}
	if w.Port >= 0 && (answers(expected) == nil || len(agents) == 0) {
		return expected, nil
	}
	if len(agents) == 1 && (w.ConfigFile == "" || agents[0].status.PID == 0) {
		return agents[0].socket, nil
	}
	return "", w.notFound(expected, agents)
}

// none says that no agent that runs is the one that is wanted.
func (w Wanted) notFound(expected string, agents []runningAgent) error {
	var list []string
	for _, f := range agents {
		list = append(list, f.String())
	}
	what := "no agent answers on " + expected
	if w.ConfigFile != "" {
		what += ", and none runs with the config " + w.ConfigFile
	}
	return fmt.Errorf("%s; there is %s; name one with --admin-socket, or its agent's port with --port", what, strings.Join(list, ", "))
}

// A runningAgent is an agent that answers, with its status; empty where the user may not ask for it.
type runningAgent struct {
	socket string
	status Status
}

func identify(ctx context.Context, socket string) runningAgent {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	status, err := AskStatus(ctx, socket)
	if err != nil {
		status = Status{} // the command itself will report the error
	}
	return runningAgent{socket, status}
}

func (f runningAgent) String() string {
	if f.status.PID == 0 {
		return f.socket
	}
	return fmt.Sprintf("%s (config %s)", f.socket, f.status.Config)
}

// expected is the socket by its port or path, in the first folder in which there is one.
func (w Wanted) expected() string {
	if w.Socket != "" {
		return w.Socket
	}
	expected := filepath.Join(w.Dirs[0], socketName(w.Port))
	forbidden := ""
	for _, dir := range w.Dirs {
		socket := filepath.Join(dir, socketName(w.Port))
		err := answers(socket)
		if err == nil {
			return socket
		}
		if errors.Is(err, os.ErrPermission) && forbidden == "" && isAgentDir(dir) {
			forbidden = socket
		}
	}
	if forbidden != "" {
		return forbidden
	}
	return expected
}

// answers returns nil where an agent listens on the socket.
func answers(socket string) error {
	conn, err := net.Dial("unix", socket) // never waits: connect(2) of a unix socket that does not block
	if err != nil {
		return err
	}
	return conn.Close() // nothing was said
}

func isSameFile(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if path, err := filepath.Abs(b); err == nil && a == path {
		return true
	}
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	return errOne == nil && errOther == nil && os.SameFile(one, other)
}

// isAgentDir reports whether a folder that this user may not read belongs to an agent alone. Other
// folders may be unreadable for other reasons.
func isAgentDir(dir string) bool {
	return dir == serviceRuntimeDir || os.Getenv(runtimeDirVariable) != ""
}
