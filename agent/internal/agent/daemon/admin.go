package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

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
