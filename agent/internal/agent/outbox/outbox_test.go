package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

const patience = time.Minute

func TestMain(m *testing.M) {
	soaktest.Parallel(4)
	os.Exit(m.Run())
}

// A lab is a board with a record and an outbox, and a server.
type lab struct {
	t      *testing.T
	node   *natstest.Node
	conn   *natsconn.Conn
	dir    string
	box    *Outbox
	writer *auditwriter.Writer
	wrote  int
}

func newLab(t *testing.T, o auditwriter.Options) *lab {
	t.Helper()
	l := &lab{t: t, node: natstest.Server(t), dir: filepath.Join(t.TempDir(), "record")}
	l.conn = connect(t, l.node)
	l.open()
	o.Dir, o.Queue, o.FileAge = l.dir, 1<<20, time.Hour
	o.Open = auditlog.Open{Format: auditlog.Format, Started: time.Now()}
	o.Removing = func(path string) { l.box.Removing(path) }
	w, err := auditwriter.Open(o, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	l.writer = w
	return l
}

func connect(t *testing.T, node *natstest.Node) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{node.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func (l *lab) open() {
	l.t.Helper()
	box, err := Open(Options{Dir: l.dir, Fleet: "lab", Board: "b", Conn: l.conn, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(box.Close)
	l.box = box
}

// reopen goes on with another outbox, as another agent does.
func (l *lab) reopen() {
	l.t.Helper()
	l.box.Close()
	l.open()
	l.box.Start()
}

func (l *lab) stream(change func(*jetstream.StreamConfig)) jetstream.Stream {
	l.t.Helper()
	config := jetstream.StreamConfig{Name: fleet.Stream("lab"), Subjects: fleet.Subjects("lab"), Discard: jetstream.DiscardNew,
		Duplicates: time.Hour, Storage: jetstream.FileStorage}
	if change != nil {
		change(&config)
	}
	var stream jetstream.Stream
	l.await("the stream", func() bool {
		ctx, cancel := context.WithTimeout(l.t.Context(), 5*time.Second)
		defer cancel()
		var err error
		stream, err = l.conn.JS.CreateOrUpdateStream(ctx, config)
		return err == nil
	})
	return stream
}

func (l *lab) await(what string, is func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited in vain for %s; the outbox is %+v, its connection %s", what, l.box.Status(), l.conn.Status())
		}
	}
}

// record records steps, and the end of a session after each ten.
func (l *lab) record(steps int) {
	for range steps {
		l.wrote++
		session := fmt.Sprintf("s-%d", l.wrote/10)
		l.writer.Record(auditlog.Event{Kind: auditlog.KindStep, Time: time.Now(),
			Step: &auditlog.Step{Session: session, Client: "192.0.2.1:1", StepID: int64(l.wrote), Detail: strings.Repeat("x", l.wrote%200)}})
		if l.wrote%10 == 9 {
			l.writer.Record(auditlog.Event{Kind: auditlog.KindSession, Time: time.Now(), Session: &auditlog.Session{Session: session}})
		}
	}
	l.await("the record", func() bool { s := l.writer.Status(); return s.Queued == 0 && s.Error == "" })
}

// sent waits until the stream has all that the record has.
func (l *lab) sent() Status {
	l.t.Helper()
	l.await("the outbox", func() bool { return l.box.Status().LagBytes == 0 })
	return l.box.Status()
}

// A line is one of the record by its place.
type line struct {
	file   string
	offset int64
}

// recorded returns the lines of the record.
func (l *lab) recorded() map[line]string {
	l.t.Helper()
	lines := map[line]string{}
	names, err := listFiles(l.dir)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(l.dir, name))
		if err != nil {
			l.t.Fatal(err)
		}
		number, _ := auditlog.ParseFileName(name)
		addLines(lines, fmt.Sprint(number), 0, text)
	}
	return lines
}

func addLines(to map[line]string, file string, offset int64, text []byte) (more int) {
	for part := range bytes.SplitAfterSeq(text, []byte("\n")) {
		if len(part) > 0 {
			to[line{file, offset}] = string(part)
			offset += int64(len(part))
			more++
		}
	}
	return more
}

// published returns the lines of the stream, and how many it has more than once. Each message must be lines
// of the kind that its subject says.
func (l *lab) published(stream jetstream.Stream) (lines map[line]string, twice int) {
	l.t.Helper()
	info, err := stream.Info(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	lines = map[line]string{}
	for sequence := max(1, info.State.FirstSeq); sequence <= info.State.LastSeq; sequence++ {
		m, err := stream.GetMsg(l.t.Context(), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			l.t.Fatal(err)
		}
		id := strings.Split(m.Header.Get(jetstream.MsgIDHeader), ".")
		var from, to int64
		if len(id) != 4 || id[0] != "b" {
			l.t.Fatalf("the id %v", id)
		}
		if _, err := fmt.Sscanf(id[3], "%d-%d", &from, &to); err != nil || to-from != int64(len(m.Data)) {
			l.t.Fatalf("the id %v of %d bytes: %v", id, len(m.Data), err)
		}
		if _, _, kind, ok := fleet.Parse(m.Subject); !ok || checkRun(m.Data, len(m.Data)) != "" {
			l.t.Fatalf("the message %s: %s", m.Subject, m.Data)
		} else if is, _ := kindOf(m.Data); is != kind {
			l.t.Fatalf("the subject %s of %s", m.Subject, m.Data)
		}
		before := len(lines)
		twice += before + addLines(lines, id[2], from, m.Data) - len(lines)
	}
	return lines, twice
}

// same fails unless both have the same lines.
func (l *lab) same(published, recorded map[line]string) {
	l.t.Helper()
	if maps.Equal(published, recorded) {
		return
	}
	missing := 0
	for at := range recorded {
		if published[at] != recorded[at] {
			missing++
		}
	}
	l.t.Errorf("%d lines are published, %d recorded, %d of these not published", len(published), len(recorded), missing)
}

// Everything that is recorded is published, also what was recorded before the stream was there, while the
// server was away, and by an earlier agent.
func TestPublish(t *testing.T) {
	t.Parallel()
	l := newLab(t, auditwriter.Options{FileBytes: 100 << 10, TotalBytes: 1 << 30})
	l.record(1000)
	l.box.Start()
	l.await("an explanation", func() bool {
		return strings.Contains(l.box.Status().Error, "no stream takes the results of the fleet lab; run stepctl collect --create")
	})
	if s := l.box.Status(); s.LagBytes == 0 || s.LagSeconds <= 0 || s.Published != 0 || s.Since.IsZero() {
		t.Errorf("without a stream the status is %+v", s)
	}
	stream := l.stream(nil)
	l.sent()
	l.record(10)
	l.sent()
	l.node.Kill()
	l.record(1000)
	l.reopen()
	l.record(1000)
	l.node.Restart()
	l.sent()
	l.record(500)
	l.reopen()
	l.record(500)
	s := l.sent()
	lines, twice := l.published(stream)
	l.same(lines, l.recorded())
	if want := l.writer.Status().Written; s.Published != want || s.Dropped != 0 || twice != 0 {
		t.Errorf("%d events are published, %d dropped, %d lines twice; want %d published", s.Published, s.Dropped, twice, want)
	}
	if s.Trouble() != "" {
		t.Errorf("trouble: %s", s.Trouble())
	}
}

// While a server is killed again and again, nothing is lost. What was stored and not acknowledged is
// recognized by its id.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	l := newLab(t, auditwriter.Options{FileBytes: 1 << 20, TotalBytes: 1 << 30})
	stream := l.stream(nil)
	l.box.Start()
	for range 4 {
		l.record(3000)
		l.node.Kill()
		l.record(500)
		l.node.Restart()
	}
	s := l.sent()
	lines, twice := l.published(stream)
	l.same(lines, l.recorded())
	if want := l.writer.Status().Written; s.Published != want || twice != 0 {
		t.Errorf("%d events are published, %d lines twice; want %d published", s.Published, twice, want)
	}
}

// A lost cursor, as after a power cut, has the whole record sent again. Lines may then be in two messages,
// and none is lost.
func TestLostCursor(t *testing.T) {
	t.Parallel()
	l := newLab(t, auditwriter.Options{FileBytes: 50 << 10, TotalBytes: 1 << 30})
	stream := l.stream(nil)
	l.box.Start()
	for i, cursor := range []string{"", "{", `{"format":2}`, `{"format":1,"file":"steps-0000000001.20260101T000000Z.jsonl","offset":-1}`} {
		l.record(300)
		l.sent()
		l.box.Close()
		path := filepath.Join(l.dir, cursorName)
		if err := os.WriteFile(path, []byte(cursor), 0o600); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		l.open()
		l.box.Start()
	}
	l.sent()
	lines, _ := l.published(stream)
	l.same(lines, l.recorded())
}

// A full stream refuses what is new, and the outbox waits.
func TestFullStream(t *testing.T) {
	t.Parallel()
	l := newLab(t, auditwriter.Options{FileBytes: 1 << 20, TotalBytes: 1 << 30})
	l.stream(func(c *jetstream.StreamConfig) { c.MaxBytes = 100 << 10 })
	l.box.Start()
	l.record(2000)
	l.await("an explanation", func() bool {
		return strings.Contains(l.box.Status().Error, "the stream is full (maximum bytes exceeded); run stepctl collect, or give the stream more room")
	})
	if s := l.box.Status(); s.LagBytes == 0 || s.Dropped != 0 || !strings.HasPrefix(s.Trouble(), "results are not published: ") {
		t.Errorf("the status is %+v", s)
	}
	stream := l.stream(func(c *jetstream.StreamConfig) { c.MaxBytes = 100 << 20 })
	l.sent()
	lines, _ := l.published(stream)
	l.same(lines, l.recorded())
}

// What the record removes before it was sent is counted, exactly, and the disk is not filled.
func TestRemovedBeforeSent(t *testing.T) {
	t.Parallel()
	const total = 300 << 10
	l := newLab(t, auditwriter.Options{FileBytes: 50 << 10, TotalBytes: total})
	stream := l.stream(nil)
	l.box.Start()
	l.record(200)
	l.sent()
	l.node.Kill()
	l.await("the loss", func() bool { return !l.conn.Connected() })
	trouble := ""
	for range 5 {
		l.record(1000)
		trouble = l.box.Status().Trouble()
		l.reopen()
		if size, _ := unsent(l.dir, position{}); size > total {
			t.Errorf("the record has %d bytes, want %d at most", size, total)
		}
	}
	l.node.Restart()
	s := l.sent()
	lines, _ := l.published(stream)
	heads := 0
	for _, text := range lines {
		if _, event := kindOf([]byte(text)); !event {
			heads++
		}
	}
	written := l.writer.Status().Written
	if s.Published+s.Dropped != written || s.Dropped == 0 || uint64(len(lines)-heads) != s.Published {
		t.Errorf("of %d events %d are published, %d dropped, and %d are in the stream", written, s.Published, s.Dropped, len(lines)-heads)
	}
	if !strings.HasPrefix(trouble, "results are missing in NATS, ") {
		t.Errorf("trouble: %q", trouble)
	}
	for at, text := range l.recorded() {
		if lines[at] != text {
			t.Errorf("the line at %v is in the record and not in the stream", at)
		}
	}
}

// A line that the stream does not take is dropped and counted; the others are sent.
func TestTooLargeLine(t *testing.T) {
	t.Parallel()
	l := newLab(t, auditwriter.Options{FileBytes: 1 << 20, TotalBytes: 1 << 30})
	stream := l.stream(func(c *jetstream.StreamConfig) { c.MaxMsgSize = 2000 })
	l.record(100)
	l.writer.Record(auditlog.Event{Kind: auditlog.KindStep, Time: time.Now(), Step: &auditlog.Step{Detail: strings.Repeat("x", 3000)}})
	l.record(100)
	l.box.Start()
	s := l.sent()
	if s.Dropped != 1 || !strings.Contains(s.Trouble(), "is larger than the stream or the server takes") {
		t.Errorf("the status is %+v", s)
	}
	lines, _ := l.published(stream)
	recorded := l.recorded()
	maps.DeleteFunc(recorded, func(_ line, text string) bool { return len(text) > 3000 })
	l.same(lines, recorded)
}

// The cursor is a file that an agent of this version reads again.
func TestCursor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	want := cursor{position{"steps-0000000001.20260101T000000Z.jsonl", 5}, 6, 7}
	for _, sync := range []bool{true, false} {
		if err := want.write(dir, sync); err != nil {
			t.Fatal(err)
		}
		if got, err := readCursor(dir); got != want || err != nil {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	var text map[string]any
	data, err := os.ReadFile(filepath.Join(dir, cursorName))
	if err == nil {
		err = json.Unmarshal(data, &text)
	}
	if keys := slices.Sorted(maps.Keys(text)); err != nil || !slices.Equal(keys, []string{"dropped", "file", "format", "offset", "published"}) {
		t.Errorf("the keys are %v, %v", keys, err)
	}
}
