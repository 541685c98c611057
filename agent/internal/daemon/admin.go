package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/stepagent/stepagent/agent/internal/journal"
	"github.com/stepagent/stepagent/agent/internal/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/server"
	"github.com/stepagent/stepagent/agent/internal/session"
)

// A Status is what a running agent says of itself.
type Status struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Address string `json:"address"`
	// Allow says whom the agent serves, as the config does.
	Allow   []string  `json:"allow"`
	Config  string    `json:"config"` // every file that was read, with commas
	Started time.Time `json:"started"`
	// Generation is the number of the validators in force; it goes up with each reload.
	Generation uint64     `json:"generation"`
	Reload     LastReload `json:"last_reload"`
	// Watch says whether the agent reloads by itself.
	Watch Watch `json:"watch,omitzero"`
	// Trouble says in one line each what is not as it should be, such as a validator that
	// crashes again and again; none when all is well.
	Trouble     []string      `json:"trouble,omitempty"`
	Connections server.Stats  `json:"connections"`
	Sessions    session.Stats `json:"sessions"`
	// Record says how the agent's own record fares.
	Record     journal.Status `json:"record"`
	Validators []Process      `json:"validators"`
	// Goroutines is how many there are in the agent: with nobody connected always about the
	// same.
	Goroutines int `json:"goroutines"`
}

// A Process is one process of validators.
type Process struct {
	// Generation is that of the validators, by which the lines of sessions name who judged
	// them.
	Generation uint64 `json:"generation"`
	pluginhost.Status
}

// Status returns the agent's state as it is now.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	generation := a.judge.Chain().Generation()
	var processes []Process
	var trouble []string
	for _, s := range a.set.Status() {
		processes = append(processes, Process{Generation: generation, Status: s})
		if what := s.Trouble(); what != "" {
			trouble = append(trouble, strings.Join(s.Validators, ", ")+": "+what)
		}
	}
	record := journal.Status{}
	if a.record != nil {
		record = a.record.Status()
	}
	if record.Error != "" {
		trouble = append(trouble, "the record is not written: "+record.Error)
	}
	watch := a.watchStatus()
	if watch.Error != "" {
		trouble = append(trouble, "changes of files are found late: "+watch.Error)
	}
	return Status{
		Version: a.options.Version, PID: os.Getpid(), Address: a.addresses(), Allow: a.config.Allow,
		Config: source(a.config), Started: a.started, Generation: generation, Trouble: trouble,
		Reload: a.reload, Watch: watch, Connections: a.server.Stats(), Sessions: a.sessions.Stats(),
		Record: record, Validators: processes, Goroutines: runtime.NumGoroutine(),
	}
}

// Names returns the names of the validators in force, in the config's order.
func (s Status) Names() []string {
	var names []string
	for _, v := range s.Validators {
		names = append(names, v.Validators...)
	}
	return names
}

// Paths of the admin socket, which speaks HTTP.
const (
	statusPath = "/v1/status"
	reloadPath = "/v1/reload"
)

// admin answers on the admin socket.
type admin struct {
	path string
	http *http.Server
}

// adminTimeout bounds one request on the admin socket but for the time of a reload.
const adminTimeout = 5 * time.Second

func startAdmin(a *Agent, path string) (*admin, error) {
	listener, err := listenAdmin(path)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, a.Status())
	})
	mux.HandleFunc("POST "+reloadPath, func(w http.ResponseWriter, _ *http.Request) {
		// A caller that goes away must not leave a reload half done.
		ctx, cancel := context.WithTimeoutCause(context.Background(), startTimeout, errTooLong)
		defer cancel()
		if err := a.Reload(ctx); err != nil {
			reply(w, http.StatusUnprocessableEntity, refusal{err.Error()})
			return
		}
		reply(w, http.StatusOK, a.Status())
	})
	ad := &admin{path: path, http: &http.Server{Handler: mux, ReadHeaderTimeout: adminTimeout,
		ErrorLog: slog.NewLogLogger(a.options.Log.With(slog.String("socket", path)).Handler(), slog.LevelWarn)}}
	// One request for each connection: what somebody opens and forgets is closed in time.
	ad.http.SetKeepAlivesEnabled(false)
	go func() { _ = ad.http.Serve(listener) }() // ends with ErrServerClosed
	return ad, nil
}

// close ends the admin socket and removes it. A request in progress gets its answer first.
func (ad *admin) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if ad.http.Shutdown(ctx) != nil {
		_ = ad.http.Close() // by force: nothing is left to do about an error
	}
}

type refusal struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone
}

// removeSocket removes a socket, and nothing else.
func removeSocket(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and is no socket", path)
	default:
		return os.Remove(path)
	}
}

// listenAdmin listens on the socket. One that an agent left behind when it was killed is
// removed first; one that answers belongs to somebody else.
func listenAdmin(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("admin socket: %w; name another place with --admin-socket", err)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("admin socket %s belongs to another agent that is running; give this one its own with --admin-socket", path)
	}
	if err := removeSocket(path); err != nil {
		return nil, fmt.Errorf("admin socket: %w; name another place with --admin-socket", err)
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("admin socket: %w; name another place with --admin-socket", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("admin socket: %w", err), listener.Close())
	}
	return listener, nil
}
