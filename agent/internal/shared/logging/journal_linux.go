package logging

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// isJournal reports whether w is the stream that systemd has connected to its journal. variable
// is the value of JOURNAL_STREAM: the stream's device and inode, see systemd.exec(5). It does not
// match after a redirection.
func isJournal(w io.Writer, variable string) bool {
	if s, ok := w.(*journalStream); ok {
		w = s.stderr
	}
	stat, ok := statOf(w)
	return ok && variable != "" && variable == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// isRemoved reports whether w is a regular file without a name.
func isRemoved(w io.Writer) bool {
	stat, ok := statOf(w)
	return ok && stat.Mode&syscall.S_IFMT == syscall.S_IFREG && stat.Nlink == 0
}

// statOf returns the status of w, if it is a file.
func statOf(w io.Writer) (*syscall.Stat_t, bool) {
	f, ok := w.(*os.File)
	if !ok {
		return nil, false
	}
	info, err := f.Stat()
	if err != nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return stat, ok
}

// journalSocket is where the journal accepts the streams of services.
const journalSocket = "/run/systemd/journal/stdout"

// journalTimeout bounds connecting to the journal.
const journalTimeout = time.Second

// A journalStream is the stream to the journal that systemd has connected to stderr. systemd
// connects it once, when the service starts. The journal closes it when it is stopped together
// with its sockets; the next Write that fails then reconnects.
type journalStream struct {
	stderr io.Writer
	conn   net.Conn // replaces stderr after a reconnect; nil before
	socket string
}

func newJournalStream(stderr io.Writer) io.Writer {
	return &journalStream{stderr: stderr, socket: journalSocket}
}

// Write writes whole lines.
func (s *journalStream) Write(lines []byte) (int, error) {
	n, err := s.stream().Write(lines)
	if err == nil {
		return n, nil
	}
	if again := s.connect(); again != nil {
		return n, fmt.Errorf("%w; %w", err, again)
	}
	return s.conn.Write(lines)
}

func (s *journalStream) stream() io.Writer {
	if s.conn != nil {
		return s.conn
	}
	return s.stderr
}

func (s *journalStream) connect() error {
	conn, err := net.DialTimeout("unix", s.socket, journalTimeout)
	if err != nil {
		return err
	}
	// The header of a stream as systemd writes it: identifier; unit, which the journal determines
	// itself; default priority; lines have prefixes; no forwarding to syslog, kmsg or console.
	if _, err := io.WriteString(conn, "stepagent\n\n6\n1\n0\n0\n0\n"); err != nil {
		return errors.Join(err, conn.Close())
	}
	if s.conn != nil {
		_ = s.conn.Close() // it is broken
	}
	s.conn = conn
	return nil
}
