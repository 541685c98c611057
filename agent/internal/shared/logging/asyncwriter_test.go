package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// When the reader stalls, logging does not block: the first lines are queued, and a later line says
// how many were dropped.
func TestAsyncWriterDoesNotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		q := NewAsyncWriter(w)
		log, err := New(q, Options{Format: "text"})
		if err != nil {
			t.Fatal(err)
		}
		const lines = maxQueueBytes / 50 // each is longer than that
		for i := range lines {
			log.Info("a line", slog.Int("n", i), slog.String("filler", strings.Repeat("x", 50)))
		}
		if kept := q.lines.Stats().Queued; kept > maxQueueBytes {
			t.Errorf("%d bytes are kept", kept)
		}
		if s := q.Stats(); s.Dropped == 0 || !strings.HasPrefix(s.Error, "its reader takes no lines, and 10") {
			t.Errorf("%+v while they are not taken", s)
		}

		taken := &bytes.Buffer{}
		go func() { _, _ = io.Copy(taken, r) }()
		synctest.Wait()
		if s := q.Stats(); s.Error != "" {
			t.Errorf("%+v when they are taken again", s)
		}
		log.Info("afterwards")
		q.Close()
		synctest.Wait()
		got := strings.Split(strings.TrimSuffix(taken.String(), "\n"), "\n")
		for i, line := range got[:len(got)-2] {
			if !strings.Contains(line, fmt.Sprintf("n=%d filler", i)) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
		dropped := regexp.MustCompile(`level=WARN msg="log lines were dropped, .*" dropped=(\d+)$`).FindStringSubmatch(got[len(got)-2])
		if dropped == nil || !strings.Contains(got[len(got)-1], "afterwards") {
			t.Fatalf("the last lines are %q", got[len(got)-2:])
		}
		if n, _ := strconv.Atoi(dropped[1]); n+len(got)-2 != lines || n == 0 {
			t.Errorf("%d lines were dropped, %d are there, of %d", n, len(got)-2, lines)
		}
		_ = w.Close()
	})
}

// Close writes all lines that the reader takes, and waits a bounded time for a reader that stalls.
func TestAsyncWriterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all bytes.Buffer
		q := NewAsyncWriter(&all)
		for i := range 1000 {
			_, _ = fmt.Fprintln(q, i)
		}
		q.Close()
		if n := strings.Count(all.String(), "\n"); n != 1000 {
			t.Errorf("%d lines are there", n)
		}
		_, _ = fmt.Fprintln(q, "too late") // goes nowhere

		r, w := io.Pipe()
		q = NewAsyncWriter(w)
		_, _ = fmt.Fprintln(q, "never taken")
		began := time.Now()
		q.Close()
		if took := time.Since(began); took != closeTimeout {
			t.Errorf("it took %v", took)
		}
		_ = r.Close() // ends what waits
	})
}

// A disk is a writer that may be full: then it writes a part of a line.
type disk struct {
	bytes.Buffer
	full bool
}

var errFull = errors.New("the disk is full")

func (d *disk) Write(line []byte) (int, error) {
	if d.full {
		n, _ := d.Buffer.Write(line[:min(len(line), 3)])
		return n, errFull
	}
	return d.Buffer.Write(line)
}

// Lines that cannot be written are counted, later ones begin at the start of a line, and one of
// them says how many were lost.
func TestAsyncWriterCountsUnwrittenLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &disk{}
		q := NewAsyncWriter(d)
		log, err := New(q, Options{Format: "text"})
		if err != nil {
			t.Fatal(err)
		}
		say := func(full bool, message string) {
			d.full = full
			log.Info(message)
			synctest.Wait()
		}
		say(false, "first")
		say(true, "lost")
		say(true, "lost too")
		if got, want := q.Stats(), (Stats{Unwritten: 2, Error: errFull.Error()}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		say(false, "second")
		say(false, "third")
		if got, want := q.Stats(), (Stats{Unwritten: 2}); got != want || got.Lost() != 2 {
			t.Errorf("%+v, want %+v", got, want)
		}
		q.Close()
		const lines = `msg=first\ntim\nti\n.*msg=second\n.*level=WARN msg="log lines could not be written" unwritten=2\n.*msg=third\n$`
		if !regexp.MustCompile(lines).MatchString(d.String()) {
			t.Errorf("got %q", d.String())
		}
	})
}
