package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/queue"
)

// A site is a database with procedures, and agents for workers in processes of their own.
type site struct {
	*testing.T
	db    *database.DB
	place string
	file  string // of the boards
}

// newSite has the procedures "quick", of one step, and "slow", of three steps with 1 s between them.
func newSite(t *testing.T, place string, boards map[string]*scriptedAgent) *site {
	t.Helper()
	s := &site{T: t, db: databasetest.Open(t, place), place: place, file: filepath.Join(t.TempDir(), "boards")}
	var lines strings.Builder
	for name, a := range boards {
		fmt.Fprintf(&lines, "%s 127.0.0.1:%s\n", name, a.port)
	}
	if err := os.WriteFile(s.file, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"quick": `{"test_services": [{"step_id": 1, "timeout": 5}]}`,
		"slow": `{"test_services": [{"step_id": 1, "timeout": 5, "interval": 1}, {"step_id": 2, "timeout": 5, "interval": 1},
			{"step_id": 3, "timeout": 5}]}`,
	} {
		if _, _, err := s.db.Import(t.Context(), name, []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// exec executes plain SQL, as another program would.
func (s *site) exec(query string, args ...any) {
	s.Helper()
	if err := s.db.Write(s.Context(), func(tx *sql.Tx) error { _, err := tx.Exec(query, args...); return err }); err != nil {
		s.Fatal(err)
	}
}

// await waits until a query returns a value.
func (s *site) await(want, query string, args ...any) {
	s.Helper()
	got := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err := s.db.Read().QueryRow(query, args...).Scan(&got); err == nil && got == want {
			return
		}
	}
	s.Fatalf("%s gives %q, want %q", query, got, want)
}

// value returns the value of a query.
func (s *site) value(query string, args ...any) (value string) {
	s.Helper()
	if err := s.db.Read().QueryRow(query, args...).Scan(&value); err != nil {
		s.Fatal(err)
	}
	return value
}

// A workerProcess is a running stepctl worker.
type workerProcess struct {
	*exec.Cmd
	mu    sync.Mutex
	lines []string
	done  chan struct{} // closed at the end of its output
}

// start starts a worker.
func (s *site) start(args ...string) *workerProcess {
	s.Helper()
	cmd := exec.Command("stepctl", append([]string{"worker", "--db", s.place, "--boards", s.file, "--config", ""}, args...)...)
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "STEPCTL_") {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	w := &workerProcess{Cmd: cmd, done: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		s.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		s.Fatal(err)
	}
	_ = in.Close()
	go func() {
		defer close(w.done)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			w.mu.Lock()
			w.lines = append(w.lines, scanner.Text())
			w.mu.Unlock()
		}
		_ = out.Close()
	}()
	s.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-w.done
		_ = cmd.Wait()
		if s.Failed() {
			s.Logf("worker %d:\n%s", cmd.Process.Pid, w.output())
		}
	})
	return w
}

func (w *workerProcess) output() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.lines, "\n")
}

// says waits until a line of the worker matches.
func (s *site) says(w *workerProcess, pattern string) {
	s.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if regexp.MustCompile("(?m)" + pattern).MatchString(w.output()) {
			return
		}
	}
	s.Fatalf("the worker does not say %s", pattern)
}

// signal sends a signal to the worker alone.
func (s *site) signal(w *workerProcess, sig syscall.Signal) {
	s.Helper()
	if err := w.Process.Signal(sig); err != nil {
		s.Error(err)
	}
}

// pause stops the worker's process between its commits: a process that is stopped in a commit keeps
// others from writing to a SQLite file.
func (s *site) pause(w *workerProcess) {
	s.Helper()
	err := s.db.Write(context.Background(), func(*sql.Tx) error {
		s.signal(w, syscall.SIGSTOP)
		state := fmt.Sprintf("/proc/%d/stat", w.Process.Pid)
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			if stat, err := os.ReadFile(state); err != nil || strings.Contains(string(stat), ") T ") {
				return err
			}
		}
		return errors.New("the worker goes on")
	})
	if err != nil {
		s.Fatal(err)
	}
}

// stop ends the worker as a service manager does.
func (s *site) stop(w *workerProcess) {
	s.Helper()
	s.signal(w, syscall.SIGTERM)
	<-w.done
	if err := w.Wait(); err != nil {
		s.Errorf("the worker ended with %v", err)
	}
}

// Two workers share 200 entries for four boards: each is performed once, and no board has two runs at
// the same time.
func TestWorkersSideBySide(t *testing.T) {
	t.Parallel()
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		agents := map[string]*scriptedAgent{}
		for _, name := range []string{"a", "b", "c", "d"} {
			agents[name] = mustStartAgent(t)
		}
		s := newSite(t, place, agents)
		// Each has room for half of the boards, so that both are needed.
		first, second := s.start("--name", "one", "--jobs", "2"), s.start("--name", "two", "--jobs", "2")
		for i := range 200 {
			s.exec("INSERT INTO queue (procedure, board, priority) VALUES ('quick', $1, $2)", string(rune('a'+i%4)), i%3)
		}
		s.await("200", "SELECT CAST(count(*) AS TEXT) FROM queue WHERE state = 'done' AND performed = 1 AND attempt = 1")
		s.stop(first)
		s.stop(second)
		for query, want := range map[string]string{
			"SELECT CAST(count(*) AS TEXT) FROM runs WHERE state = 'ended' AND verdict = 'pass' AND attempt = 1":                  "200",
			"SELECT CAST(count(DISTINCT entry) AS TEXT) FROM runs":                                                                "200",
			"SELECT CAST(count(*) AS TEXT) FROM queue WHERE run NOT IN (SELECT id FROM runs WHERE entry = queue.id)":              "0",
			"SELECT CAST(count(DISTINCT worker) AS TEXT) FROM runs":                                                               "2",
			"SELECT CAST(count(*) AS TEXT) FROM runs x, runs y WHERE x.board = y.board AND x.id < y.id AND x.started = y.started": "0",
		} {
			if got := s.value(query); got != want {
				t.Errorf("%s gives %s, want %s", query, got, want)
			}
		}
		requests := 0
		for _, a := range agents {
			requests += a.count() - 1
		}
		if requests != 200 {
			t.Errorf("the agents have received %d requests", requests)
		}
	})
}

// A worker that is killed in mid-run leaves its entry to another one, and both attempts are told apart.
func TestWorkerKilled(t *testing.T) {
	t.Parallel() // it mostly waits
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		a := mustStartAgent(t)
		s := newSite(t, place, map[string]*scriptedAgent{"a": a})
		s.exec("INSERT INTO queue (procedure, board) VALUES ('slow', 'a')")
		killed := s.start("--name", "killed", "--lease", "1s")
		a.await(2)
		s.signal(killed, syscall.SIGKILL)
		first := s.value("SELECT run FROM queue")
		heir := s.start("--name", "heir", "--lease", "1s")
		s.says(heir, `^a: entry 1: slow@1, run \S+, attempt 2 after the interrupted run `+first+`$`)
		s.await("done", "SELECT state FROM queue")
		s.stop(heir)
		want := first + " interrupted undecided killed 1, " + s.value("SELECT run FROM queue") + " ended pass heir 2"
		if got := s.runs(); got != want {
			t.Errorf("the runs are %s, want %s", got, want)
		}
	})
}

// runs returns all runs, the oldest first.
func (s *site) runs() string {
	s.Helper()
	list, err := s.db.Runs(s.Context(), database.Filter{})
	if err != nil {
		s.Fatal(err)
	}
	var texts []string
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		texts = append(texts, fmt.Sprintf("%s %s %s %s %d", r.ID, r.State, r.Verdict, r.Worker, r.Attempt))
	}
	return strings.Join(texts, ", ")
}

// A worker that was stopped for longer than its lease sends nothing more to the board, and leaves the
// entry to the one that has taken it up.
func TestWorkerPaused(t *testing.T) {
	t.Parallel() // it mostly waits
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		a := mustStartAgent(t)
		s := newSite(t, place, map[string]*scriptedAgent{"a": a})
		s.exec("INSERT INTO queue (procedure, board) VALUES ('slow', 'a')")
		paused := s.start("--name", "paused", "--lease", "1s")
		a.await(2)
		s.pause(paused)
		heir := s.start("--name", "heir", "--lease", "1s")
		s.says(heir, "^a: entry 1: slow@1, run .*, attempt 2 ")
		a.await(3)
		s.signal(paused, syscall.SIGCONT)
		s.says(paused, "its entry was taken up by heir, after its lease had ended")
		s.says(paused, "^a: interrupted: [12] of 3 steps passed")
		s.await("done", "SELECT state FROM queue")
		s.stop(paused)
		s.stop(heir)
		if sent := a.count() - 1; sent != 5 {
			t.Errorf("the agent has received %d requests, want 2 and 3", sent)
		}
		if got := s.runs(); !regexp.MustCompile(`^\S+ ended undecided paused 1, \S+ ended pass heir 2$`).MatchString(got) {
			t.Errorf("the runs are %s", got)
		}
	})
}

// A worker that is told to stop gives its entry back at once, and another one performs it.
func TestWorkerStopped(t *testing.T) {
	t.Parallel() // it mostly waits
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		a := mustStartAgent(t)
		s := newSite(t, place, map[string]*scriptedAgent{"a": a})
		s.exec("INSERT INTO queue (procedure, board) VALUES ('slow', 'a')")
		first := s.start("--name", "first")
		a.await(1)
		s.stop(first)
		if got := s.value("SELECT state FROM queue WHERE lease IS NULL AND attempt = 1"); got != "waiting" {
			t.Errorf("the entry is %s", got)
		}
		second := s.start("--name", "second")
		s.await("done", "SELECT state FROM queue")
		s.stop(second)
		if got := s.runs(); !regexp.MustCompile(`^\S+ ended undecided first 1, \S+ ended pass second 2$`).MatchString(got) {
			t.Errorf("the runs are %s", got)
		}
	})
}

// An entry that is cancelled while it runs interrupts the run, within a second or so.
func TestWorkerCancelled(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		a := mustStartAgent(t, "1=withhold")
		s := newSite(t, place, map[string]*scriptedAgent{"a": a})
		s.exec("INSERT INTO queue (procedure, board) VALUES ('slow', 'a')")
		w := s.start("--name", "w")
		a.await(1)
		if _, err := queue.New(s.db, queue.DefaultLease).Cancel(context.Background(), 1); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.says(w, "^a: interrupted: 0 of 3 steps passed")
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("the run was interrupted after %s", took)
		}
		s.stop(w)
	})
}

// What plain SQL inserts is performed at once; what no worker can read is marked with its problem, and
// what no worker knows waits.
func TestWorkerPlainSQL(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		a := mustStartAgent(t)
		s := newSite(t, place, map[string]*scriptedAgent{"a": a})
		w := s.start("--name", "w")
		s.says(w, "the worker performs the queue")
		for _, columns := range []string{
			"(procedure, board, state) VALUES ('quick', 'a', 'running')", // first: a board runs one entry at a time
			"(procedure, board) VALUES ('quick', 'a')",
			"(procedure, board) VALUES ('quick', 'nowhere')",
			"(procedure, board) VALUES ('missing', 'a')",
			"(procedure, board, version) VALUES ('quick', 'a', 99)",
			"(procedure, board, every) VALUES ('quick', 'a', 'sometimes')",
			"(procedure, board, every) VALUES ('quick', 'a', '0 2 30 2 *')",
			"(procedure, board, labels) VALUES ('quick', 'a', 'no label')",
			"(procedure, board, labels, times) VALUES ('quick', 'a', 'n=1, m=2', 2)",
			"(procedure, board, every) VALUES ('quick', 'a', '0 2 * * *')",
			"(procedure, board, every, times) VALUES ('quick', 'a', '1h', 3)",
		} {
			s.exec("INSERT INTO queue " + columns)
		}
		s.await("0", "SELECT CAST(count(*) AS TEXT) FROM queue WHERE state = 'running' OR state = 'waiting' AND board = 'a' AND every IS NULL")
		s.await("1", "SELECT CAST(performed AS TEXT) FROM queue WHERE id = 11")
		s.stop(w)
		list, err := queue.New(s.db, queue.DefaultLease).List(context.Background(), queue.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{
			"done 1 ", "done 1 ", "waiting 0 ", "failed 0 the procedure \"missing\" is not in the database; import it",
			"failed 0 version 99 of the procedure \"quick\" is not in", "failed 0 the plan \"sometimes\" is neither",
			"failed 0 the cron fields of the plan \"0 2 30 2 *\" name no day", "failed 0 the labels \"no label\" must have",
			"done 2 ", "waiting 0 ", "waiting 1 ",
		} {
			e := list[i]
			if got := fmt.Sprintf("%s %d %s", e.State, e.Performed, e.Problem); !strings.HasPrefix(got, want) {
				t.Errorf("entry %d is %s, want %s", e.ID, got, want)
			}
		}
		if due := list[9].Due; due.IsZero() || due.Hour() != 2 {
			t.Errorf("the plan is due at %s", due)
		}
		if n := s.value("SELECT CAST(count(*) AS TEXT) FROM labels WHERE value IN ('1', '2')"); n != "4" {
			t.Errorf("%s labels", n)
		}
	})
}
