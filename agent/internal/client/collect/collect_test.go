package collect_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/client/collect"
	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

func TestMain(m *testing.M) {
	natstest.Main()
	soaktest.Parallel(4)
	os.Exit(m.Run())
}

// A lab is a NATS server with the stream of a fleet, and a database.
type lab struct {
	t    *testing.T
	node *natstest.Node
	conn *natsconn.Conn
	db   *database.DB
}

func newLab(t *testing.T, limits collect.Limits, options ...natstest.Option) *lab {
	t.Helper()
	l := &lab{t: t, node: natstest.Server(t, options...)}
	l.conn = connect(t, l.node.URL)
	l.db = databasetest.Open(t, databasetest.File(t))
	if created, err := collect.Create(l.patience(), l.conn, "lab", limits); err != nil || !created {
		t.Fatal(created, err)
	}
	return l
}

func connect(t *testing.T, urls ...string) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Connect(natsconn.Options{URLs: urls})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// patience returns a context that ends long after what comes at once.
func (l *lab) patience() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	l.t.Cleanup(cancel)
	return ctx
}

func (l *lab) options() collect.Options {
	return collect.Options{Conn: l.conn, Store: l.db, Fleet: "lab", Consumer: "stepctl", Once: true, Patience: time.Minute,
		Log: slog.New(slog.DiscardHandler), Tell: func(collect.Progress) {}}
}

// once collects what there is.
func (l *lab) once() collect.Progress {
	l.t.Helper()
	p, err := collect.Run(l.patience(), l.options())
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// follow collects until the returned function is called, which returns the result.
func (l *lab) follow(o collect.Options) (stop func() collect.Progress) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan collect.Progress, 1)
	o.Once = false
	go func() {
		p, err := collect.Run(ctx, o)
		if err != nil {
			l.t.Error(err)
		}
		done <- p
	}()
	stop = sync.OnceValue(func() collect.Progress { cancel(); return <-done })
	l.t.Cleanup(func() { stop() })
	return stop
}

// step returns the line of step n.
func step(n int) string {
	line, err := auditlog.AppendLine(nil, auditlog.Event{Kind: auditlog.KindStep, Time: time.Unix(1_800_000_000, int64(n)*1000),
		Step: &auditlog.Step{Session: "s", Client: "c", StepID: int64(n), Position: n}})
	if err != nil {
		panic(err)
	}
	return string(line)
}

// publish publishes the steps from to to, in messages of a number of steps each.
func (l *lab) publish(from, to, each int) {
	l.t.Helper()
	for ; from < to; from += each {
		var lines strings.Builder
		end := min(from+each, to)
		for n := from; n < end; n++ {
			lines.WriteString(step(n))
		}
		l.send(fmt.Sprintf("b.1.1.%d-%d", from, end), lines.String())
	}
}

// send publishes a message until it is acknowledged.
func (l *lab) send(id, body string) {
	l.t.Helper()
	m := nats.NewMsg(fleet.Subject("lab", "b", fleet.Steps))
	m.Data = []byte(body)
	if id != "" {
		m.Header.Set(jetstream.MsgIDHeader, id)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := l.conn.JS.PublishMsg(ctx, m)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			l.t.Fatal(err)
		}
	}
}

// events returns how many events the database has.
func (l *lab) events() (n int64) {
	l.t.Helper()
	if err := l.db.Read().QueryRowContext(context.Background(), "SELECT count(*) FROM agent_events").Scan(&n); err != nil {
		l.t.Fatal(err)
	}
	return n
}

// await waits until the database has n events. It fails when there is no new one for a minute.
func (l *lab) await(n int64) {
	l.t.Helper()
	last, end := int64(0), time.Now().Add(time.Minute)
	for got := l.events(); got != n; got = l.events() {
		if got > last {
			last, end = got, time.Now().Add(time.Minute)
		}
		if time.Now().After(end) {
			l.t.Fatalf("%d events, and no further one within a minute, want %d", got, n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// left returns how many messages are in the stream.
func (l *lab) left() uint64 {
	l.t.Helper()
	stream, err := l.conn.JS.Stream(l.patience(), fleet.Stream("lab"))
	if err != nil {
		l.t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestOnce(t *testing.T) {
	l := newLab(t, collect.Limits{})
	l.publish(0, 1000, 3)
	l.publish(0, 1000, 3) // the server drops what it knows
	if p := l.once(); p.Events != 1000 || p.Messages != 334 || p.Behind != 0 || p.Trouble != "" {
		t.Errorf("%+v", p)
	}
	if left := l.left(); left != 0 {
		t.Errorf("%d messages are left in the stream", left)
	}
	if p := l.once(); p != (collect.Progress{}) {
		t.Errorf("the second time %+v", p)
	}
	l.publish(1000, 1100, 7)
	l.publish(995, 1005, 10) // other bounds
	if p := l.once(); p.Events != 100 || l.events() != 1100 {
		t.Errorf("%+v, %d events", p, l.events())
	}
}

// What comes is stored at once, and the lag is told.
func TestFollow(t *testing.T) {
	l := newLab(t, collect.Limits{})
	l.publish(0, 10, 1)
	o := l.options()
	told := make(chan collect.Progress, 1000)
	o.Tell = func(p collect.Progress) {
		select {
		case told <- p:
		default:
		}
	}
	stop := l.follow(o)
	l.await(10)
	for n := range 5 {
		l.publish(10+n, 11+n, 1)
		l.await(int64(11 + n))
	}
	if p := stop(); p.Events != 15 || p.Messages != 15 {
		t.Errorf("%+v", p)
	}
	if p := <-told; p.Messages == 0 {
		t.Errorf("told %+v first", p)
	}
}

// unsure is a database whose first commit is done and reported as failed.
type unsure struct {
	collect.Store
	failed *error
}

func (s unsure) StoreMessages(ctx context.Context, messages []database.Message) (database.Stored, error) {
	stored, err := s.Store.StoreMessages(ctx, messages)
	if *s.failed != nil {
		err, *s.failed = *s.failed, nil
	}
	return stored, err
}

// A crash between commit and acknowledgement has the messages delivered again, and stored once.
func TestCrashBeforeTheAcknowledgement(t *testing.T) {
	l := newLab(t, collect.Limits{})
	l.publish(0, 50, 1)
	o, crash := l.options(), errors.New("crash")
	failed := crash
	o.Store = unsure{l.db, &failed}
	if p, err := collect.Run(l.patience(), o); !errors.Is(err, crash) || p.Messages != 0 || l.left() != 50 {
		t.Errorf("%+v, %v, %d messages are left", p, err, l.left())
	}
	if p := l.once(); p.Known != 50 || p.Events != 0 || l.events() != 50 || l.left() != 0 {
		t.Errorf("%+v, %d events, %d messages are left", p, l.events(), l.left())
	}
}

// A database that is away for a while loses nothing.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	l := newLab(t, collect.Limits{})
	l.publish(0, 50, 1)
	o := l.options()
	failed := fmt.Errorf("the disk is full: %w", database.ErrAway)
	o.Store = unsure{l.db, &failed}
	troubles := make(chan string, 100)
	o.Tell = func(p collect.Progress) { troubles <- p.Trouble }
	stop := l.follow(o)
	if got := <-troubles; !strings.HasPrefix(got, "the disk is full") {
		t.Errorf("trouble %q", got)
	}
	if got := <-troubles; got != "" {
		t.Errorf("trouble %q", got)
	}
	stop()
	if l.events() != 50 {
		t.Errorf("%d events", l.events())
	}
	l.publish(50, 60, 1)
	o = l.options()
	failed = fmt.Errorf("the disk is full: %w", database.ErrAway)
	o.Store = unsure{l.db, &failed}
	if _, err := collect.Run(l.patience(), o); !errors.Is(err, database.ErrAway) {
		t.Errorf("once: error %v", err)
	}
}

// A message that cannot be read is put aside and leaves the stream, and the others are stored.
func TestRejected(t *testing.T) {
	l := newLab(t, collect.Limits{})
	l.send("1", "no event\n")
	l.send("", step(1))
	l.send("3", step(2))
	if p := l.once(); p.Rejected != 2 || p.Messages != 1 || p.Events != 1 || p.Behind != 0 {
		t.Errorf("%+v", p)
	}
	if l.left() != 0 {
		t.Errorf("%d messages are left", l.left())
	}
}

// Several processes share the messages; no event is there twice.
func TestSharedConsumer(t *testing.T) {
	t.Parallel()
	l := newLab(t, collect.Limits{})
	var stops []func() collect.Progress
	for range 3 {
		o := l.options()
		o.Conn = connect(t, l.node.URL)
		stops = append(stops, l.follow(o))
	}
	l.publish(0, 3000, 2)
	l.await(3000)
	var sum int64
	for _, stop := range stops {
		sum += stop().Events
	}
	if sum != 3000 {
		t.Errorf("%d events were told", sum)
	}
}

// A server that is killed and comes back loses nothing that it has acknowledged.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	l := newLab(t, collect.Limits{}, natstest.Processes())
	o := l.options()
	troubles := make(chan string, 1)
	o.Tell = func(p collect.Progress) {
		if p.Trouble != "" {
			select {
			case troubles <- p.Trouble:
			default:
			}
		}
	}
	stop := l.follow(o)
	kills, events := soaktest.Repetitions(t, 10, 2), soaktest.Repetitions(t, 200_000, 3000)
	round := events / kills
	for from := 0; from < kills*round; from += round {
		l.publish(from, from+round*4/5, 20)
		l.node.Kill()
		<-troubles
		l.node.Restart()
		l.publish(from+round*3/4, from+round, 13) // some of them again, with other bounds
	}
	l.await(int64(kills * round))
	if p := stop(); p.Events != int64(kills*round) {
		t.Errorf("%+v", p)
	}
}

// A full stream refuses messages until some are collected.
func TestFullStream(t *testing.T) {
	size := int64(64 << 10)
	l := newLab(t, collect.Limits{MaxBytes: &size})
	n := 0
	for ; ; n++ {
		m := nats.NewMsg(fleet.Subject("lab", "b", fleet.Steps))
		m.Header.Set(jetstream.MsgIDHeader, fmt.Sprint(n))
		m.Data = []byte(step(n))
		_, err := l.conn.JS.PublishMsg(l.patience(), m)
		var refused *jetstream.APIError
		if errors.As(err, &refused) && refused.ErrorCode == 10077 {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if p := l.once(); p.Events != int64(n) || n < 50 {
		t.Errorf("%+v of %d", p, n)
	}
	l.publish(n, n+10, 1)
	if p := l.once(); p.Events != 10 {
		t.Errorf("%+v", p)
	}
}

// What Create makes, and what it changes.
func TestCreate(t *testing.T) {
	t.Parallel()
	size, age, replicas, keep := int64(1<<20), time.Hour, 3, true
	l := newLab(t, collect.Limits{})
	config := func() jetstream.StreamConfig {
		stream, err := l.conn.JS.Stream(l.patience(), fleet.Stream("lab"))
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config
	}
	if c := config(); c.Discard != jetstream.DiscardNew || c.Duplicates != time.Hour || c.MaxBytes != collect.DefaultMaxBytes ||
		c.MaxAge != 0 || c.Retention != jetstream.WorkQueuePolicy || c.Storage != jetstream.FileStorage {
		t.Errorf("%+v", c)
	}
	if created, err := collect.Create(l.patience(), l.conn, "lab", collect.Limits{MaxBytes: &size, MaxAge: &age}); created || err != nil {
		t.Error(created, err)
	}
	if c := config(); c.MaxBytes != size || c.MaxAge != age || c.Duplicates != time.Hour {
		t.Errorf("%+v", c)
	}
	var refused *collect.StreamError
	if _, err := collect.Create(l.patience(), l.conn, "lab", collect.Limits{Keep: &keep}); !errors.As(err, &refused) ||
		!strings.Contains(err.Error(), "leave out --keep") {
		t.Errorf("error %v", err)
	}
	short, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if _, err := collect.Create(short, l.conn, "other", collect.Limits{Replicas: &replicas}); err == nil {
		t.Error("a single server has three replicas")
	}
	if created, err := collect.Create(l.patience(), l.conn, "kept", collect.Limits{Keep: &keep, MaxAge: &age}); !created || err != nil {
		t.Error(created, err)
	}
}

// A stream that keeps what was collected has it for every consumer; another has one consumer.
func TestSecondDatabase(t *testing.T) {
	keep := true
	l := newLab(t, collect.Limits{Keep: &keep})
	l.publish(0, 20, 1)
	l.once()
	o := l.options()
	o.Consumer, o.Store = "second", databasetest.Open(t, databasetest.File(t))
	if p, err := collect.Run(l.patience(), o); err != nil || p.Events != 20 || l.left() != 20 {
		t.Errorf("%+v, error %v", p, err)
	}
	l = newLab(t, collect.Limits{})
	l.once()
	o = l.options()
	o.Consumer = "second"
	var refused *collect.StreamError
	if _, err := collect.Run(l.patience(), o); !errors.As(err, &refused) || !strings.Contains(err.Error(), "is collected by another consumer") {
		t.Errorf("error %v", err)
	}
}

// What keeps a collection from beginning is told with what to do.
func TestNothingToCollect(t *testing.T) {
	t.Parallel()
	l := newLab(t, collect.Limits{})
	o := l.options()
	o.Fleet = "none"
	var refused *collect.StreamError
	if _, err := collect.Run(l.patience(), o); !errors.As(err, &refused) || !strings.Contains(err.Error(), "stepctl collect --create") {
		t.Errorf("error %v", err)
	}
	o = l.options()
	o.Conn, o.Patience = connect(t, "nats://127.0.0.1:1"), 10*time.Millisecond
	if _, err := collect.Run(l.patience(), o); !errors.Is(err, collect.ErrAway) || !strings.Contains(err.Error(), "start the server") {
		t.Errorf("error %v", err)
	}
}
