package logging

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// isJournal reports whether w is the stream that systemd has connected to its journal.
// JOURNAL_STREAM holds the device and the inode of that stream, in decimal, with a colon
// between them: systemd.exec(5). A variable that was inherited through a redirection does
// not match.
func isJournal(w io.Writer, journalStream string) bool {
	f, ok := w.(*os.File)
	if !ok || journalStream == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && journalStream == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
