package outbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/go-json-experiment/json"
)

// cursorName is the file with the cursor, in the folder of the record. No reader of the record and no
// bound on its size regards a file of this name.
const cursorName = ".outbox"

// cursorFormat is the version of that file.
const cursorFormat = 1

const (
	// saveInterval is the least time between two writings of the cursor. What was acknowledged since the
	// last one is sent again after a crash.
	saveInterval = time.Second
	// syncInterval is the least time between two that wait for the disk. After a power cut the cursor may
	// be as old, or have gone: then the whole record is sent again.
	syncInterval = time.Minute
)

// A cursor says up to where the stream has the record, and counts the events before.
type cursor struct {
	position
	Published uint64 `json:"published"`
	Dropped   uint64 `json:"dropped"`
}

// cursorFile is a cursor as its file has it.
type cursorFile struct {
	Format int `json:"format"`
	cursor
}

// readCursor reads the cursor of a record. The error is fs.ErrNotExist if it has none.
func readCursor(dir string) (cursor, error) {
	text, err := os.ReadFile(filepath.Join(dir, cursorName))
	if err != nil {
		return cursor{}, err
	}
	var file cursorFile
	err = json.Unmarshal(text, &file)
	switch {
	case err != nil:
		return cursor{}, fmt.Errorf("%s: %w", cursorName, err)
	case file.Format != cursorFormat || file.Offset < 0:
		return cursor{}, fmt.Errorf("%s: format %d is not known, this agent writes format %d", cursorName, file.Format, cursorFormat)
	}
	return file.cursor, nil
}

// write replaces the file of the cursor.
func (c cursor) write(dir string, sync bool) (err error) {
	text, err := json.Marshal(cursorFile{cursorFormat, c})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, cursorName)
	file, err := os.OpenFile(path+"-new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil && sync {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(path+"-new", path)
}

// save writes the cursor if it has changed, at once or a while after the last time.
func (b *Outbox) save(now bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now || time.Since(b.saved) >= saveInterval {
		b.saveCursor(now || time.Since(b.synced) >= syncInterval)
	}
}

// saveCursor writes the cursor if it has changed. A failure is logged once; only a crash makes it matter.
// The caller holds b.mu.
func (b *Outbox) saveCursor(sync bool) {
	if b.cursor == b.written {
		return
	}
	b.saved = time.Now()
	if sync {
		b.synced = b.saved
	}
	err := b.cursor.write(b.options.Dir, sync)
	if err == nil {
		b.written = b.cursor
	} else if !b.unwritable {
		b.options.Log.Warn("the cursor of the results cannot be written; after a crash more of the record is sent again", slog.Any("error", err))
	}
	b.unwritable = err != nil
}
