package logging

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestJournalReconnect: the journal closes its streams when it is stopped with its sockets. The next line
// goes to the one that is there then, as do those after it; those in between are counted.
func TestJournalReconnect(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	stderr, first := os.NewFile(uintptr(pair[0]), "stderr"), os.NewFile(uintptr(pair[1]), "journal")
	defer func() { _ = stderr.Close() }()
	info, err := stderr.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino))
	dir, err := os.MkdirTemp("", "journal") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	q := NewAsyncWriter(stderr)
	defer q.Close()
	q.to.(*journalStream).socket = filepath.Join(dir, "stdout")
	log, err := New(q, Options{Format: "text"})
	if err != nil {
		t.Fatal(err)
	}
	log.Info("one")
	if line, err := bufio.NewReader(first).ReadString('\n'); err != nil || line != "<6>level=INFO msg=one\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	log.Info("two")
	for q.Stats().Unwritten == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := q.Stats(); !strings.Contains(got.Error, "broken pipe") || !strings.Contains(got.Error, "no such file") {
		t.Errorf("%+v", got)
	}

	listener, err := net.Listen("unix", filepath.Join(dir, "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	log.Warn("three", slog.Int("n", 3))
	second, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	lines := bufio.NewReader(second)
	for _, want := range []string{"stepagent", "", "6", "1", "0", "0", "0", "<4>level=WARN msg=three n=3",
		`<4>level=WARN msg="log lines could not be written" unwritten=1`} {
		if line, err := lines.ReadString('\n'); err != nil || strings.TrimLeft(line, "\n") != want+"\n" && line != want+"\n" {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
	}
}
