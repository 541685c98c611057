package database

import (
	"context"
	"database/sql"
	"slices"
)

// remove removes runs with all that belongs to them, some in each transaction. A run that has become
// part of a baseline meanwhile stays. With dry it only counts. count and bytes are added to.
func remove(ctx context.Context, db *DB, ids []string, dry bool, removed map[string]bool, count, bytes *int64) error {
	for batch := range slices.Chunk(ids, pruneRuns) {
		in := "IN " + Placeholders(0, len(batch))
		var args []any
		for _, id := range batch {
			args = append(args, id)
			removed[id] = true
		}
		var size, n int64
		err := db.read.QueryRowContext(ctx, "SELECT coalesce(sum(length(lines)), 0) FROM events WHERE run "+in, args...).Scan(&size)
		if err != nil {
			return db.fault(err)
		}
		n = int64(len(batch))
		if !dry {
			err = db.Write(ctx, func(tx *sql.Tx) error {
				result, err := tx.ExecContext(ctx, "DELETE FROM runs WHERE id "+in+" AND "+removable, args...)
				if err == nil {
					n, err = result.RowsAffected()
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		*count, *bytes = *count+n, *bytes+size
	}
	return nil
}
