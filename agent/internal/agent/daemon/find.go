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

// A Wanted says which of the running agents a command is for. What an agent says of itself counts for
// more than a config that has changed since the agent read it.
type Wanted struct {
	// Socket and Port are those of the command line, or else of the config; a Port below 0 is not
	// known. Exact says that they are of the command line or the environment.
	Socket string
	Port   int
	Exact  bool
	// ConfigFile is the path of the config that was named; empty for none.
	ConfigFile string
	// PID is the main process of the service whose systemd runs the command; 0 for none.
	PID int
	// Dirs are the folders to look in.
	Dirs []string
}

// findTime bounds how long one agent may take to say which one it is.
const findTime = 2 * time.Second

// Find returns the admin socket of the agent that is wanted. An error says which agents there are.
func Find(ctx context.Context, w Wanted) (string, error) {
	expected := w.expected()
	if w.Exact && w.PID == 0 {
		return expected, nil
	}
	var agents []found
	for _, dir := range w.Dirs {
		for _, socket := range AdminSockets(dir) {
			next := introduce(ctx, socket)
			if !slices.ContainsFunc(agents, func(f found) bool { return f.status.PID != 0 && f.status.PID == next.status.PID }) {
				agents = append(agents, next) // and not the link to a socket of its own that is beside it
			}
		}
	}
	by := func(is func(found) bool) (string, bool) {
		if i := slices.IndexFunc(agents, is); i >= 0 {
			return agents[i].socket, true
		}
		return "", false
	}
	if socket, ok := by(func(f found) bool { return w.PID != 0 && f.status.PID == w.PID }); ok {
		return socket, nil
	}
	if w.Exact {
		return expected, nil
	}
	same := func(f found) bool { return w.ConfigFile != "" && isSameFile(f.status.ConfigFile, w.ConfigFile) }
	if socket, ok := by(func(f found) bool { return same(f) && f.socket == expected }); ok {
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
	return "", w.none(expected, agents)
}

// none says that no agent that runs is the one that is wanted.
func (w Wanted) none(expected string, agents []found) error {
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

// A found is an agent that answers, and what it says of itself: nothing to who has no right to ask.
type found struct {
	socket string
	status Status
}

func introduce(ctx context.Context, socket string) found {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	status, err := AskStatus(ctx, socket)
	if err != nil {
		status = Status{} // the question proper will say why
	}
	return found{socket, status}
}

func (f found) String() string {
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
		if errors.Is(err, os.ErrPermission) && forbidden == "" && isAgents(dir) {
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

// isAgents reports whether a folder that this user may not look into is there for an agent alone. Others
// are closed for other reasons too.
func isAgents(dir string) bool {
	return dir == serviceRuntimeDir || os.Getenv(runtimeDirVariable) != ""
}
