package daemon

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// admin serves the admin socket.
type admin struct {
	http     *http.Server
	options  adminOptions
	log      *slog.Logger
	stop     context.CancelFunc // of watch
	watching sync.WaitGroup

	mu     sync.Mutex
	socket *unixSocket
	lost   string // why the socket cannot be made again; empty while it exists
}

// adminTimeout bounds how long a request on the admin socket may take to arrive.
const adminTimeout = 5 * time.Second

func startAdmin(handler http.Handler, options adminOptions, log *slog.Logger) (*admin, error) {
	socket, err := options.open()
	if err != nil {
		return nil, err
	}
	ad := &admin{options: options, log: log, socket: socket, http: &http.Server{Handler: handler, ReadHeaderTimeout: adminTimeout,
		ErrorLog: slog.NewLogLogger(log.With(slog.String("socket", socket.path)).Handler(), slog.LevelWarn)}}
	// One request for each connection, so that forgotten connections are closed in time.
	ad.http.SetKeepAlivesEnabled(false)
	ad.serve(socket)
	watching, stop := context.WithCancel(context.Background())
	ad.stop = stop
	ad.watching.Go(func() { ad.watch(watching) })
	return ad, nil
}

func (ad *admin) serve(socket *unixSocket) {
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
	ad.options.unlink()
}
