package database

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// agentRows is how many rows of events one statement inserts.
const agentRows = 50

// StoreMessages stores messages with the events of agents' records, in one transaction: all or none.
// Events that are there already are not stored again, however often and in which messages they come. A
// message that cannot be read is put aside, and is no error. When StoreMessages returns without an
// error, every message is in the database and can be acknowledged.
func (db *DB) StoreMessages(ctx context.Context, messages []Message) (Stored, error) {
	var stored Stored
	err := db.Write(ctx, func(tx *sql.Tx) error {
		stored = Stored{}
		prepared := &preparedTx{tx: tx, statements: map[string]*sql.Stmt{}}
		w := messageWriter{db: db, tx: prepared, stored: &stored}
		for i, m := range messages {
			if err := w.store(ctx, i, m); err != nil {
				return err
			}
		}
		return w.flush(ctx, 0)
	})
	if err != nil {
		return Stored{}, err
	}
	return stored, nil
}

// A messageWriter stores messages in a transaction.
type messageWriter struct {
	db     *DB
	tx     querier
	stored *Stored
	rows   []any // the values of events that are not inserted yet
}

// store stores a message, or puts it aside.
func (w *messageWriter) store(ctx context.Context, index int, m Message) error {
	read, err := readMessage(m)
	if err != nil {
		w.stored.Rejected = append(w.stored.Rejected, Rejected{index, err})
		return w.reject(ctx, m, err)
	}
	isNew, err := w.receive(ctx, read)
	if err != nil || !isNew {
		return err
	}
	for i := range read.events {
		w.rows = append(w.rows, agentValues(read, &read.events[i])...)
	}
	return w.flush(ctx, agentRows-1)
}

// receive stores the row of a message, and returns whether its events may be new. A message with the id
// of another body, which an agent must not send, is no reason to lose its events.
func (w *messageWriter) receive(ctx context.Context, m *agentMessage) (bool, error) {
	sum := hexSum(m.Body)
	result, err := w.tx.ExecContext(ctx, `INSERT INTO agent_messages (id, fleet, board, kind, sequence, published, events, sha256, collected)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, `+w.db.engine.Now()+`) ON CONFLICT (id) DO NOTHING`,
		m.ID, m.fleet, m.board, string(m.kind), int64(m.Sequence), Time(m.Published), len(m.events), sum)
	if err != nil {
		return false, err
	}
	if n, err := result.RowsAffected(); err != nil || n > 0 {
		w.stored.Messages += n
		return n > 0, err
	}
	w.stored.Known++
	var before string
	err = w.tx.QueryRowContext(ctx, "SELECT sha256 FROM agent_messages WHERE id = $1", m.ID).Scan(&before)
	return before != sum, err
}

// flush inserts the events that were not inserted yet, as long as there are more than a number.
func (w *messageWriter) flush(ctx context.Context, left int) error {
	for len(w.rows) > left*ofAll {
		n := min(len(w.rows)/ofAll, agentRows)
		result, err := w.tx.ExecContext(ctx, "INSERT INTO agent_events ("+agentColumns+") VALUES "+placeholderRows(n, ofAll)+
			" ON CONFLICT (board, at, digest) DO NOTHING", w.rows[:n*ofAll]...)
		if err != nil {
			return fmt.Errorf("agent_events: %w", err)
		}
		inserted, err := result.RowsAffected()
		if err != nil {
			return err
		}
		w.stored.Events += inserted
		w.rows = slices.Delete(w.rows, 0, n*ofAll)
	}
	return nil
}

// reject puts a message aside.
func (w *messageWriter) reject(ctx context.Context, m Message, why error) error {
	digest := hexSum([]byte(m.Subject), []byte{0}, []byte(m.ID), []byte{0}, m.Body)
	body := m.Body
	if body == nil {
		body = []byte{} // a nil would be NULL
	}
	_, err := w.tx.ExecContext(ctx, `INSERT INTO agent_rejects (digest, id, subject, sequence, published, problem, body, collected)
		VALUES ($1, $2, $3, $4, $5, $6, $7, `+w.db.engine.Now()+`) ON CONFLICT (digest) DO NOTHING`,
		digest, storable(m.ID), storable(m.Subject), int64(m.Sequence), Time(m.Published), storable(why.Error()), body)
	return err
}
