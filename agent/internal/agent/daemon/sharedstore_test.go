package daemon_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore/natsstore"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
)

// sharing returns a config whose sessions are in a bucket of NATS.
func sharing(url string) string {
	return fmt.Sprintf("port = 0\nnats.url = [%q]\n[session]\nstore = \"nats\"\nbucket = \"bench\"\n", url)
}

// TestSessionsInNATS: an agent starts without the bucket and without the servers, says why steps cannot be
// stored, and stores them as soon as it can.
func TestSessionsInNATS(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	o, file := options(t, sharing(node.URL))
	a, err := daemon.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := a.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	awaitStore(t, a, "the missing bucket", func(s sessionstore.Status) bool {
		return strings.HasPrefix(s.Trouble, "there is no bucket bench in NATS; create it: stepagent create-bucket")
	})
	c, err := o.Load()
	if err != nil {
		t.Fatal(err)
	}
	create := natsstore.CreateOptions{Replicas: 1, TTL: time.Hour}
	for _, want := range []bool{false, true} {
		existed, err := daemon.CreateBucket(t.Context(), c, create)
		if err != nil || existed != want {
			t.Fatalf("existed %v, want %v; error %v", existed, want, err)
		}
	}
	create.TTL = 2 * time.Hour
	if _, err := daemon.CreateBucket(t.Context(), c, create); err == nil || !strings.Contains(err.Error(), "the bucket bench exists with other settings") {
		t.Errorf("a bucket with other settings: %v", err)
	}
	awaitStore(t, a, "the bucket", func(s sessionstore.Status) bool { return s.Trouble == "" && s.Replicas == 1 })
	conn, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for id := 1; id <= 3; id++ {
		perform(t, conn, fmt.Sprintf(`{"step_id":%d,"timeout":5,"session":"bench","req":%d}`, id, id))
	}
	awaitStore(t, a, "three steps", func(s sessionstore.Status) bool {
		return s.Commits == 3 && s.Sessions == 1 && s.Bucket == "bench" && s.Dir == "" && s.Survives == sessionstore.Restart &&
			s.Server == "connected to "+node.URL && !s.LastCommit.IsZero() && len(s.Warnings) == 2
	})
	if status := a.Status(); len(status.Trouble) > 0 {
		t.Errorf("trouble %v", status.Trouble)
	}
	write(t, file, strings.Replace(sharing(node.URL), "nats://", "tls://", 1))
	if err := a.Reload(t.Context()); err == nil || !strings.Contains(err.Error(), "nats: cannot change while the agent runs") {
		t.Errorf("a reload with other servers: %v", err)
	}
	node.Kill()
	awaitStore(t, a, "the server that is away", func(s sessionstore.Status) bool { return strings.HasPrefix(s.Trouble, "not connected: ") })
	if trouble := strings.Join(a.Status().Trouble, "; "); !strings.Contains(trouble, "sessions cannot be stored: not connected: ") {
		t.Errorf("trouble %q", trouble)
	}
}

// awaitStore waits until the state of the store is as it should be.
func awaitStore(t *testing.T, a *daemon.Agent, what string, is func(sessionstore.Status) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(a.Status().Store); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in a minute: %s; the store is %+v", what, a.Status().Store)
		}
	}
}

// TestSessionMovesBetweenAgents: the steps of a session are judged by two agents in turn, and a request
// that the one has answered is answered by the other again.
func TestSessionMovesBetweenAgents(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	var agents []*daemon.Agent
	for range 2 {
		o, _ := options(t, sharing(node.URL))
		agents = append(agents, start(t, o))
		c, err := o.Load()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := daemon.CreateBucket(t.Context(), c, natsstore.CreateOptions{Replicas: 1}); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range agents {
		awaitStore(t, a, "the bucket", func(s sessionstore.Status) bool { return s.Replicas == 1 })
	}
	for id := 1; id <= 10; id++ {
		performAnew(t, agents[id/2%2], id)
		performAnew(t, agents[1-id/2%2], id)
	}
	passed, replayed := uint64(0), uint64(0)
	for _, a := range agents {
		s := a.Status()
		passed, replayed = passed+s.Sessions.Passed, replayed+s.Sessions.Replayed
		if s.Sessions.Failed+s.Sessions.Undecided > 0 || s.Store.Commits == 0 || len(s.Trouble) > 0 {
			t.Errorf("sessions %+v, store %+v, trouble %v", s.Sessions, s.Store, s.Trouble)
		}
	}
	if passed != 10 || replayed != 10 {
		t.Errorf("%d steps passed, %d replies were given again", passed, replayed)
	}
}

// TestNewerRecord: an agent answers busy where a later version has stored the session in a form that this one
// cannot read, says why in its log, and leaves the session alone. It goes on with one that it can read.
func TestNewerRecord(t *testing.T) {
	t.Parallel()
	node := natstest.Server(t)
	o, _ := options(t, sharing(node.URL))
	log := &lines{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	a := start(t, o)
	c, err := o.Load()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.CreateBucket(t.Context(), c, natsstore.CreateOptions{Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	awaitStore(t, a, "the bucket", func(s sessionstore.Status) bool { return s.Replicas == 1 })
	performAnew(t, a, 1)
	conn, err := nats.Connect(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "KV_bench")
	if err != nil {
		t.Fatal(err)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), "$KV.bench.bench")
	if err != nil {
		t.Fatal(err)
	}
	// store replaces the record by one of format 2, and fails if the agent has stored another.
	store := func(oldestReader byte) {
		last.Data[4], last.Data[5] = 2, oldestReader
		castagnoli := crc32.MakeTable(crc32.Castagnoli)
		sum := crc32.Update(crc32.Checksum(last.Data[:38], castagnoli), castagnoli, last.Data[42:])
		binary.LittleEndian.PutUint32(last.Data[38:], sum)
		ack, err := js.Publish(t.Context(), last.Subject, last.Data, jetstream.WithExpectLastSequencePerSubject(last.Sequence))
		if err != nil {
			t.Fatal(err)
		}
		last.Sequence = ack.Sequence
	}
	store(2)
	client, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	reply := exchange(t, client, `{"step_id":2,"timeout":5,"session":"bench","req":2}`)
	if !strings.Contains(reply, `"reason":"busy"`) || !strings.Contains(reply, "it was stored by a newer version of the agent; upgrade this agent") {
		t.Errorf("a record of a later version got %s", reply)
	}
	if want := `msg="a session cannot be read" session=bench error="it was stored by a newer version`; !strings.Contains(log.String(), want) {
		t.Errorf("the log has no %s:\n%s", want, log)
	}
	store(1)
	performAnew(t, a, 2)
}
