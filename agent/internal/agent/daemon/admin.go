package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Status is what a running agent says of itself.
type Status struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Address string `json:"address"`
	// Absent says why the address cannot be reached yet; empty when it can.
	Absent string `json:"address_absent,omitempty"`
	// Allow says whom the agent serves, as the config does.
	Allow  []string `json:"allow"`
	Config string   `json:"config"` // every file that was read, with commas
	// ConfigFile is the absolute path of the config, without its snippets; empty for the defaults.
	ConfigFile string `json:"config_file,omitempty"`
	// Started is when the agent was started, by the clock as it is now; Uptime is how long ago
	// that is, which no step of the clock changes.
	Started time.Time     `json:"started"`
	Uptime  jsonl.Seconds `json:"uptime_seconds"`
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
	Record auditwriter.Status `json:"record"`
	// Log counts the lines of the agent's log that are lost.
	Log        logging.Stats `json:"log"`
	Validators []Process     `json:"validators"`
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
	// Uptime is how long ago the process was started.
	Uptime jsonl.Seconds `json:"uptime_seconds"`
}

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

// Status returns the agent's state as it is now.
func (a *Agent) Status() Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	generation := a.judge.Chain().Generation()
	status := Status{
		Version: a.options.Version, PID: os.Getpid(), Address: a.addresses(), Absent: a.absent(), Allow: a.config.Allow,
		Config: source(a.config), ConfigFile: a.config.File(), Started: byNow(now, a.started), Uptime: secondsOf(now.Sub(a.started)),
		Generation: generation, Reload: a.reload, Watch: a.watchStatus(), Connections: a.server.Stats(), Sessions: a.sessions.Stats(),
		Goroutines: runtime.NumGoroutine(),
	}
	status.Reload.Time = byNow(now, a.reload.Time)
	for _, s := range a.set.Status() {
		up := secondsOf(now.Sub(s.Started))
		s.Started, s.Retry = byNow(now, s.Started), byNow(now, s.Retry)
		status.Validators = append(status.Validators, Process{Generation: generation, Status: s, Uptime: up})
	}
	if a.record != nil {
		status.Record = a.record.Status()
		status.Record.Since = byNow(now, status.Record.Since)
	}
	if a.options.Lines != nil {
		status.Log = a.options.Lines.Stats()
	}
	status.Trouble = status.troubles()
	if a.serving.Load() { // a command may ask before the start is over
		status.Trouble = append(status.Trouble, a.admin.troubles()...)
	}
	return status
}

// troubles says what is not as it should be.
func (s Status) troubles() (list []string) {
	if s.Absent != "" {
		list = append(list, "no client reaches "+s.Address+": "+s.Absent)
	}
	for _, v := range s.Validators {
		if what := v.Trouble(); what != "" {
			list = append(list, strings.Join(v.Validators, ", ")+": "+what)
		}
	}
	if what := s.Record.Trouble(); what != "" {
		list = append(list, what)
	}
	if s.Watch.Error != "" {
		list = append(list, "changes of files are found late: "+s.Watch.Error)
	}
	if s.Log.Error != "" {
		list = append(list, "the log is not written: "+s.Log.Error)
	}
	return list
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
	http  *http.Server
	place adminPlace
	log   *slog.Logger
	stop  context.CancelFunc // of keep
	kept  sync.WaitGroup

	mu     sync.Mutex
	socket *kept
	lost   string // why the socket cannot be made again; empty while it is there
}

// adminTimeout bounds one request on the admin socket but for the time of a reload.
const adminTimeout = 5 * time.Second

func startAdmin(a *Agent, place adminPlace) (*admin, error) {
	socket, err := place.open()
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
	ad := &admin{place: place, log: a.options.Log, socket: socket, http: &http.Server{Handler: mux, ReadHeaderTimeout: adminTimeout,
		ErrorLog: slog.NewLogLogger(a.options.Log.With(slog.String("socket", socket.path)).Handler(), slog.LevelWarn)}}
	// One request for each connection: what somebody opens and forgets is closed in time.
	ad.http.SetKeepAlivesEnabled(false)
	ad.serve(socket)
	keeping, stop := context.WithCancel(context.Background())
	ad.stop = stop
	ad.kept.Go(func() { ad.keep(keeping) })
	return ad, nil
}

func (ad *admin) serve(socket *kept) {
	go func() { _ = ad.http.Serve(socket) }() // ends with ErrServerClosed, or when the socket has gone
}

// path is where the socket is now.
func (ad *admin) path() string {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	return ad.socket.path
}

// troubles says why no command finds the agent; nothing when commands do.
func (ad *admin) troubles() []string {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	if ad.lost == "" {
		return nil
	}
	return []string{"the admin socket has gone: " + ad.lost}
}

// close ends the admin socket and removes it. A request in progress gets its answer first.
func (ad *admin) close() {
	ad.stop()
	ad.kept.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if ad.http.Shutdown(ctx) != nil {
		_ = ad.http.Close() // by force: nothing is left to do about an error
	}
	ad.socket.remove()
	ad.place.unpoint()
}

type refusal struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone
}
