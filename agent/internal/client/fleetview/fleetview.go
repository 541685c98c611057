// Package fleetview asks the agents of a fleet over NATS how they are, and has them reload their configs.
package fleetview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// A Board is an agent that has answered.
type Board struct {
	// Name is the name of the board, Agent the agent's version.
	Name, Agent string
	Status      Status
	// Raw is the whole status, the object of GET /api/v1/status.
	Raw jsontext.Value
}

// A Status is the part of an agent's status that a list of boards shows.
type Status struct {
	Address string `json:"address"`
	// Uptime is how long ago the agent was started.
	Uptime jsonl.Seconds `json:"uptime_seconds"`
	// Generation is the number of the validators in force, which goes up with each reload.
	Generation uint64 `json:"generation"`
	// Trouble says in one line each what is not as it should be.
	Trouble  []string `json:"trouble"`
	Sessions struct {
		Open int `json:"open"`
	} `json:"sessions"`
	Processes []struct {
		Validators []string `json:"validators"`
	} `json:"validators"`
	Fleet struct {
		Results Results `json:"results"`
	} `json:"fleet"`
}

// Results are the part of the record that an agent has not published yet.
type Results struct {
	// Enabled says that the agent publishes its record.
	Enabled bool `json:"enabled"`
	// Bytes wait, the oldest since Seconds. Dropped events were removed before they were published.
	Bytes   int64         `json:"lag_bytes"`
	Seconds jsonl.Seconds `json:"lag_seconds"`
	Dropped uint64        `json:"dropped"`
}

// Validators returns the names of the validators in force.
func (s Status) Validators() []string {
	var names []string
	for _, p := range s.Processes {
		names = append(names, p.Validators...)
	}
	return names
}

// List asks all agents of a fleet and returns those that answer within wait, ordered by name. With
// names it asks these boards alone and returns as soon as all of them have answered. Agents with one name
// that answer by then are all in the list.
func List(ctx context.Context, conn *natsconn.Conn, name string, names []string, wait time.Duration) ([]Board, error) {
	inbox := conn.NewInbox()
	subscription, err := conn.SubscribeSync(inbox + ".*")
	if err != nil {
		return nil, fmt.Errorf("cannot ask the boards: %w", err)
	}
	defer func() { _ = subscription.Unsubscribe() }() // the connection ends with the command
	subjects := []string{fleet.AllStatus(name)}
	if len(names) > 0 {
		subjects = nil
		for _, board := range slices.Compact(slices.Sorted(slices.Values(names))) {
			subjects = append(subjects, fleet.Status(name, board))
		}
	}
	for i, subject := range subjects {
		if err := conn.PublishRequest(subject, fmt.Sprintf("%s.%d", inbox, i), nil); err != nil {
			return nil, fmt.Errorf("cannot ask the boards: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if len(names) == 0 {
		return answers(ctx, subscription, 0)
	}
	return answers(ctx, subscription, len(subjects))
}

// answers receives until ctx ends, or each of the requests to one board has its answer; 0 for a request to
// all boards, whose number is not known. Each request has a subject of its own for answers.
func answers(ctx context.Context, subscription *nats.Subscription, requests int) ([]Board, error) {
	var boards []Board
	absent, answered := 0, map[string]bool{}
	for {
		m, err := subscription.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, nats.ErrNoResponders): // once for a request without an agent
			absent++
		case errors.Is(err, context.DeadlineExceeded):
			return sorted(boards), nil
		case err != nil:
			return nil, fmt.Errorf("cannot ask the boards: %w", err)
		default:
			boards = append(boards, read(m.Data))
			answered[m.Subject] = true
		}
		if requests > 0 && absent+len(answered) == requests || len(boards) == 0 && requests == 0 {
			return sorted(boards), nil
		}
	}
}

// sorted orders boards by name.
func sorted(boards []Board) []Board {
	slices.SortStableFunc(boards, func(a, b Board) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Status.Address, b.Status.Address))
	})
	return boards
}

// read reads an answer. One that cannot be read is a board in trouble.
func read(answer []byte) Board {
	var reply fleet.StatusReply
	err := json.Unmarshal(answer, &reply)
	b := Board{Name: reply.Board, Agent: reply.Agent, Raw: reply.Status}
	if err == nil {
		err = json.Unmarshal(reply.Status, &b.Status)
	}
	if err != nil {
		b.Name = cmp.Or(b.Name, "unknown")
		b.Status.Trouble = append(b.Status.Trouble, "its answer cannot be read: "+jsonl.PlainError(err).Error())
	}
	return b
}
