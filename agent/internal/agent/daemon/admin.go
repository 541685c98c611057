package daemon

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// A Request is a request of the admin socket, which speaks HTTP, as a pattern of http.ServeMux. The
// reply to each is a Status.
type Request string

// The requests.
const (
	StatusRequest Request = "GET /v1/status"
	ReloadRequest Request = "POST /v1/reload" // its reply comes after the reload
)

// admin serves the admin socket.
type admin struct {
	http     *http.Server
	options  adminOptions
	log      *slog.Logger
	stop     context.CancelFunc // of watch
	watching sync.WaitGroup

	mu     sync.Mutex
	socket *adminListener
	lost   string // why the socket cannot be made again; empty while it exists
}

// adminTimeout bounds one request on the admin socket but for the time of a reload.
const adminTimeout = 5 * time.Second

func startAdmin(a *Agent, options adminOptions) (*admin, error) {
	socket, err := options.open()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc(string(StatusRequest), func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusOK, a.Status())
	})
	mux.HandleFunc(string(ReloadRequest), func(w http.ResponseWriter, _ *http.Request) {
		// A caller that disconnects must not leave a reload half done.
		ctx, cancel := context.WithTimeoutCause(context.Background(), startTimeout, errTooLong)
		defer cancel()
		if err := a.Reload(ctx); err != nil {
			reply(w, http.StatusUnprocessableEntity, refusal{err.Error()})
			return
		}
		reply(w, http.StatusOK, a.Status())
	})
	ad := &admin{options: options, log: a.options.Log, socket: socket, http: &http.Server{Handler: mux, ReadHeaderTimeout: adminTimeout,
		ErrorLog: slog.NewLogLogger(a.options.Log.With(slog.String("socket", socket.path)).Handler(), slog.LevelWarn)}}
	// One request for each connection, so that forgotten connections are closed in time.
	ad.http.SetKeepAlivesEnabled(false)
	ad.serve(socket)
	watching, stop := context.WithCancel(context.Background())
	ad.stop = stop
	ad.watching.Go(func() { ad.watch(watching) })
	return ad, nil
}

func (ad *admin) serve(socket *adminListener) {
	go func() { _ = ad.http.Serve(socket) }() // ends with ErrServerClosed, or when the socket has gone
}

// path returns the current path of the socket.
func (ad *admin) path() string {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	return ad.socket.path
}

// lostSocket returns why commands cannot find the agent; empty when they can.
func (ad *admin) lostSocket() string {
	ad.mu.Lock()
	defer ad.mu.Unlock()
	return ad.lost
}

// close stops serving and removes the socket. A request in progress is answered first.
func (ad *admin) close() {
	ad.stop()
	ad.watching.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if ad.http.Shutdown(ctx) != nil {
		_ = ad.http.Close() // forced; an error changes nothing
	}
	ad.socket.remove()
	ad.options.unlink()
}

// A refusal is the reply to a reload that failed.
type refusal struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the caller has gone
}
