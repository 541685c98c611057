package fleetview

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// A RefusedError says that an agent has refused its new config, and keeps the old one.
type RefusedError struct{ Cause error }

// Error returns what the agent says.
func (e *RefusedError) Error() string { return "refused: " + e.Cause.Error() }

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Cause }

// Reload has the agent of a board reload its config and waits until it has answered: with an error that
// is a *RefusedError if it keeps its old config. With another error it is not known whether it has
// reloaded.
func Reload(ctx context.Context, conn *natsconn.Conn, name, board string, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	m, err := conn.RequestWithContext(ctx, fleet.Reload(name, board), nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return errors.New("it does not answer any more; nothing was sent")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer within %v; it may still reload, see stepctl boards", wait)
	case err != nil:
		return fmt.Errorf("no answer: %w; it may have reloaded, see stepctl boards", err)
	}
	var reply fleet.ReloadReply
	if err := json.Unmarshal(m.Data, &reply); err != nil {
		return fmt.Errorf("its answer cannot be read: %w; see stepctl boards", jsonl.PlainError(err))
	}
	switch {
	case reply.OK:
		return nil
	case reply.Problem != nil:
		return &RefusedError{reply.Problem}
	}
	return errors.New("its answer says neither that it has reloaded nor why not; see stepctl boards")
}

// RollOut reloads boards one after the other, and stops at the first that does not reload. It calls tell
// after each, and returns how many have reloaded. ctx ends it between two boards.
func RollOut(ctx context.Context, conn *natsconn.Conn, name string, boards []string, wait time.Duration, tell func(board string, err error)) (int, error) {
	for i, board := range boards {
		if ctx.Err() != nil {
			return i, ctx.Err()
		}
		// A reload in progress is waited for: its end is to be told.
		err := Reload(context.WithoutCancel(ctx), conn, name, board, wait)
		tell(board, err)
		if err != nil {
			return i, fmt.Errorf("%s: %w", board, err)
		}
	}
	return len(boards), nil
}
