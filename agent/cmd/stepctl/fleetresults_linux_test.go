package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/testkit/freeport"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
)

const (
	resultsClients = 8
	// resultsBurst is how many steps a client sends before it reads replies.
	resultsBurst = 50
)

// TestResultsOverKills kills the agent and the server of NATS in turn with SIGKILL, while clients perform
// steps. Every event of the record arrives: as many places in the record as it has events, each with the
// line that is there. In full these are 200,000.
func TestResultsOverKills(t *testing.T) {
	t.Parallel()
	r := newResults(t)
	events, turns := soaktest.Repetitions(t, 200_000, 6_000), soaktest.Repetitions(t, 40, 2)
	for turn := range turns {
		r.judge(int64(events / turns))
		if turn%2 == 0 {
			r.node.Kill()
			time.Sleep(200 * time.Millisecond)
			r.node.Restart()
		} else {
			r.agent.signal(syscall.SIGKILL)
			_ = r.agent.wait() // it was killed
			r.start()
		}
	}
	recorded := map[place]string{}
	for len(recorded) < events { // what waits to be recorded is lost with the agent
		r.judge(1000)
		recorded = r.recorded()
	}
	close(r.halt)
	r.clients.Wait()
	waitFor(t, "the results", func() bool {
		s := r.agent.status()
		return s.Record.Queued == 0 && s.Fleet.Results.LagBytes == 0
	})
	r.agent.signal(syscall.SIGTERM)
	if err := r.agent.wait(); err != nil {
		t.Error(err)
	}
	recorded = r.recorded()
	published, twice := r.published()
	if !maps.Equal(recorded, published) {
		t.Errorf("%d lines are recorded and %d published", len(recorded), len(published))
	}
	t.Logf("%d lines of %d steps are published, over %d kills; %d lines came twice", len(published), r.judged.Load(), turns, twice)
}

// results is an agent that publishes its record, with its clients.
type results struct {
	t      *testing.T
	agent  *agentProcess
	node   *natstest.Node
	stream jetstream.Stream
	dir    string // of the record

	halt    chan struct{}
	clients sync.WaitGroup
	judged  atomic.Int64
}

func newResults(t *testing.T) *results {
	t.Helper()
	port, err := freeport.Free()
	if err != nil {
		t.Fatal(err)
	}
	r := &results{t: t, node: natstest.Server(t, natstest.Processes()), dir: filepath.Join(t.TempDir(), "record"), halt: make(chan struct{})}
	conn, err := natsconn.Connect(natsconn.Options{URLs: []string{r.node.URL}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	waitFor(t, "the stream", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		r.stream, err = conn.JS.CreateStream(ctx, jetstream.StreamConfig{Name: fleet.Stream("lab"), Subjects: fleet.Subjects("lab"),
			Discard: jetstream.DiscardNew, Duplicates: time.Hour})
		return err == nil
	})
	r.agent = newAgent(t, fmt.Sprintf("port = %s\n[record]\nenabled = true\ndir = %q\nfile_mib = 2\ntotal_mib = 4096\n[nats]\nurl = [%q]\n"+
		"[fleet]\nname = \"lab\"\nboard = \"b\"\nresults = true\n", port, r.dir, r.node.URL))
	r.agent.port = port
	r.start()
	for n := range resultsClients {
		r.clients.Go(func() { r.perform(n) })
	}
	return r
}

// start starts the agent and waits until it serves.
func (r *results) start() {
	r.t.Helper()
	launch := func() {
		r.agent.stderr = &lockedBuffer{}
		r.agent.begin(r.agent.command("serve", "--config", r.agent.configFile(), "--log-format", "json"))
	}
	launch()
	waitFor(r.t, "the agent to start", func() bool {
		select {
		case err := <-r.agent.done: // the socket of its predecessor is in use for a moment, or its record is
			if text := r.agent.stderr.String(); !strings.Contains(text, "is taken") && !strings.Contains(text, "another agent") {
				r.t.Fatalf("the agent does not start: %v\n%s", err, text)
			}
			launch()
			return false
		default:
			return r.agent.started() != ""
		}
	})
}

// judge waits for some more steps.
func (r *results) judge(n int64) {
	r.t.Helper()
	goal := r.judged.Load() + n
	waitFor(r.t, "more steps", func() bool { return r.judged.Load() >= goal })
}

// perform performs one session after the other until the end, over another connection after each failure.
func (r *results) perform(client int) {
	for round := 0; ; round++ {
		select {
		case <-r.halt:
			return
		default:
		}
		if err := r.burst(fmt.Sprintf("c%d-%d", client, round)); err != nil {
			time.Sleep(10 * time.Millisecond) // the agent is being started
		}
	}
}

// burst sends steps of several sessions and reads the replies.
func (r *results) burst(name string) error {
	conn, err := net.Dial("tcp", r.agent.address())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	replies := bufio.NewReader(conn)
	for burst := range 20 {
		var requests bytes.Buffer
		for i := range resultsBurst {
			fmt.Fprintf(&requests, `{"step_id":%d,"timeout":5,"session":"%s-%d-%d","req":%d}`+"\n", i%10+1, name, burst, i/10, i)
		}
		if _, err := conn.Write(requests.Bytes()); err != nil {
			return err
		}
		for range resultsBurst {
			if _, err := replies.ReadSlice('\n'); err != nil {
				return err
			}
			r.judged.Add(1)
		}
	}
	return nil
}

// A place is that of a line in the record.
type place struct {
	file   uint64
	offset int64
}

// recorded returns the whole lines of the record.
func (r *results) recorded() map[place]string {
	r.t.Helper()
	lines := map[place]string{}
	names, err := filepath.Glob(filepath.Join(r.dir, "*.jsonl"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			r.t.Fatal(err)
		}
		number, _ := auditlog.ParseFileName(filepath.Base(name))
		addPlaces(lines, number, 0, text)
	}
	return lines
}

// addPlaces adds the lines of a text, and returns how many were known.
func addPlaces(to map[place]string, file uint64, offset int64, text []byte) (known int) {
	for line := range bytes.SplitAfterSeq(text, []byte("\n")) {
		if bytes.HasSuffix(line, []byte("\n")) {
			at := place{file, offset}
			if _, is := to[at]; is {
				known++
			}
			to[at] = string(line)
		}
		offset += int64(len(line))
	}
	return known
}

// published returns the lines in the stream, and how many are there more than once.
func (r *results) published() (lines map[place]string, twice int) {
	r.t.Helper()
	lines = map[place]string{}
	consumer, err := r.stream.OrderedConsumer(r.t.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := r.stream.Info(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for n := uint64(0); n < info.State.Msgs; {
		batch, err := consumer.Fetch(int(min(200, info.State.Msgs-n)), jetstream.FetchMaxWait(patience))
		if err != nil {
			r.t.Fatal(err)
		}
		for m := range batch.Messages() {
			n++
			id := strings.Split(m.Headers().Get(jetstream.MsgIDHeader), ".")
			file, fileErr := strconv.ParseUint(id[2], 10, 64)
			from, fromErr := strconv.ParseInt(id[3][:strings.IndexByte(id[3], '-')], 10, 64)
			if err := errors.Join(fileErr, fromErr); err != nil {
				r.t.Fatal(err)
			}
			twice += addPlaces(lines, file, from, m.Data())
		}
		if err := batch.Error(); err != nil && !errors.Is(err, io.EOF) {
			r.t.Fatal(err)
		}
	}
	return lines, twice
}
