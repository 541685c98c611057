package server

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/logging"
)

// noteEvery is how often one kind of line about clients' misbehaviour may be logged.
const noteEvery = time.Second

// notes limit the log lines that clients can cause, one limit for each kind.
type notes struct {
	accept, refused, bad, slow, unread *logging.Limiter
}

func newNotes() notes {
	return notes{
		accept: logging.NewLimiter(noteEvery), refused: logging.NewLimiter(noteEvery),
		bad: logging.NewLimiter(noteEvery), slow: logging.NewLimiter(noteEvery),
		unread: logging.NewLimiter(noteEvery),
	}
}
