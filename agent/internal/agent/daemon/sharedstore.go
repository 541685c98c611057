package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore/natsstore"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

// openSharedStore opens the store in NATS. It does not wait for the servers. The connection is the
// store's own, so that no step waits behind results.
func openSharedStore(c *config.Loaded, log *slog.Logger) (sessionstore.Store, error) {
	conn, err := connectNATS(c, "sessions", log)
	if err != nil {
		return nil, err
	}
	store, err := natsstore.Open(natsstore.Options{
		Conn: conn, Bucket: c.Session.Bucket, RememberedReplies: c.Session.RememberedReplies,
		Kept: c.Session.IdleTimeout + c.Session.LongestInterval, Log: log,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return store, nil
}

// createTimeout bounds CreateBucket: the connection, and a leader for the bucket.
const createTimeout = 30 * time.Second

// CreateBucket creates the bucket of the config in NATS; its name in o is not used. Existed says that there was one
// with these settings.
func CreateBucket(ctx context.Context, c *config.Loaded, o natsstore.CreateOptions) (existed bool, err error) {
	if len(c.NATS.URL) == 0 {
		return false, config.Problems{c.Problem("nats.url", "names no server; write the addresses of those that shall have the bucket")}
	}
	conn, err := connectNATS(c, "create-bucket", slog.New(slog.DiscardHandler))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	o.Bucket = c.Session.Bucket
	return natsstore.CreateWhenConnected(ctx, conn, o)
}
