package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
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
	var preferred []func(runningAgent) bool
	if w.PID != 0 {
		preferred = append(preferred, func(f runningAgent) bool { return f.status.PID == w.PID })
	}
	if w.ConfigFile != "" && !w.Exact {
		same := func(f runningAgent) bool { return outfile.IsSame(f.status.ConfigFile, w.ConfigFile) }
		preferred = append(preferred, func(f runningAgent) bool { return same(f) && f.socket == expected }, same)
	}
	for _, is := range preferred {
		if i := slices.IndexFunc(agents, is); i >= 0 {
			return agents[i].socket, nil
		}
	}
	if w.Exact || w.Port >= 0 && (answers(expected) == nil || len(agents) == 0) {
		return expected, nil
	}
	if len(agents) == 1 && (w.ConfigFile == "" || agents[0].status.PID == 0) {
		return agents[0].socket, nil
	}
	return "", w.notFound(expected, agents)
}

// notFound returns the error for a wanted agent that is not among those that run.
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
	status api.Status
}

func identify(ctx context.Context, socket string) runningAgent {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	status, err := Query[api.Status](ctx, socket, StatusRequest)
	if err != nil {
		status = api.Status{} // the command itself will report the error
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
	return cmp.Or(forbidden, filepath.Join(w.Dirs[0], socketName(w.Port)))
}

// answers returns nil where an agent listens on the socket.
func answers(socket string) error {
	conn, err := net.Dial("unix", socket) // never waits: connect(2) of a unix socket that does not block
	if err != nil {
		return err
	}
	return conn.Close() // nothing was said
}

// isAgentDir reports whether a folder that this user may not read belongs to an agent alone. Other
// folders may be unreadable for other reasons.
func isAgentDir(dir string) bool {
	return dir == serviceRuntimeDir || os.Getenv(runtimeDirVariable) != ""
}
