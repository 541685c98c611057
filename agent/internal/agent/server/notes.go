package server

import (
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// noteEvery is how often one kind of line that clients cause may be logged.
const noteEvery = time.Second

// notes limit the log lines that clients can cause, one limit for each kind.
type notes struct {
	accept, stranger, refused, bad, slow, idle, ahead, unread *logging.Limiter
}

func newNotes() notes {
	limiter := func() *logging.Limiter { return logging.NewLimiter(noteEvery) }
	return notes{accept: limiter(), stranger: limiter(), refused: limiter(), bad: limiter(),
		slow: limiter(), idle: limiter(), ahead: limiter(), unread: limiter()}
}

// note logs what the connection's client has done, no more often than its kind may be.
func (c *conn) note(kind *logging.Limiter, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("client", c.addr.String())}, attrs...)
	kind.Log(c.server.steps, c.server.log, slog.LevelWarn, message, attrs...)
}
