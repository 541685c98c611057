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

// isJournal reports whether w is the stream that systemd has connected to its journal.
// JOURNAL_STREAM holds the device and the inode of that stream, in decimal, with a colon
// between them: systemd.exec(5). A variable that was inherited through a redirection does
// not match.
func isJournal(w io.Writer, variable string) bool {
	if s, ok := w.(*journalStream); ok {
		w = s.stderr
	}
	f, ok := w.(*os.File)
	if !ok || variable == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && variable == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// isRemoved reports whether w is a file that has no name any more.
func isRemoved(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink == 0
}

// journalSocket is where the journal takes the streams of services.
const journalSocket = "/run/systemd/journal/stdout"

// journalTime bounds how long a connection to the journal may take.
const journalTime = time.Second

// A journalStream is the stream to the journal that systemd has connected to stderr. systemd
// connects it once, at the start of a service; the journal closes it when it is stopped together
// with its sockets. Then the stream is connected again, for the line that was not taken.
type journalStream struct {
	stderr io.Writer
	conn   net.Conn // instead of it; nil at first
	socket string
}

func newJournalStream(stderr io.Writer) io.Writer {
	return &journalStream{stderr: stderr, socket: journalSocket}
}

// Write takes whole lines.
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
	conn, err := net.DialTimeout("unix", s.socket, journalTime)
	if err != nil {
		return err
	}
	// As systemd begins a stream: the identifier, a unit, which the journal finds itself, the
	// priority of lines that have none, that lines may have one, and no other place to go to.
	if _, err := io.WriteString(conn, "stepagent\n\n6\n1\n0\n0\n0\n"); err != nil {
		return errors.Join(err, conn.Close())
	}
	if s.conn != nil {
		_ = s.conn.Close() // it is broken
	}
	s.conn = conn
	return nil
}
