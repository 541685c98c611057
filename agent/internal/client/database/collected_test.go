package database_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
)

// auditLine returns a line of an agent's record.
func auditLine(t testing.TB, e auditlog.Event) string {
	t.Helper()
	line, err := auditlog.AppendLine(nil, e)
	must(t, err)
	return string(line)
}

// stepLine returns the line of a step that was judged at a millisecond after start; code 0 is a pass.
func stepLine(t testing.TB, session string, ms, code int) string {
	t.Helper()
	replied := jsonl.Seconds(2 * time.Millisecond)
	s := &auditlog.Step{Session: session, Client: "192.0.2.7:4711", StepID: int64(ms + 1), Position: ms + 1, ErrorCode: code,
		Judged: jsonl.Seconds(time.Millisecond), Replied: &replied, Generation: 1}
	if code != 0 {
		s.Reason, s.Detail = "out_of_order", "step 2 is expected"
	}
	return auditLine(t, auditlog.Event{Kind: auditlog.KindStep, Time: start.Add(time.Duration(ms) * time.Millisecond), Step: s})
}

func endLine(t testing.TB, session, verdict string, ms int) string {
	t.Helper()
	return auditLine(t, auditlog.Event{Kind: auditlog.KindSession, Time: start.Add(time.Duration(ms) * time.Millisecond),
		Session: &auditlog.Session{Session: session, Client: "192.0.2.7:4711", Verdict: verdict, Steps: 2, Of: 2, Passed: 2, Duration: jsonl.Seconds(time.Second)}})
}

// message returns a message of a board with lines.
func message(board, id string, lines ...string) database.Message {
	return database.Message{ID: id, Subject: fleet.Subject("lab", board, fleet.Steps), Sequence: 7, Published: start, Body: []byte(strings.Join(lines, ""))}
}

// keepMessages stores messages.
func keepMessages(t testing.TB, db *database.DB, messages ...database.Message) database.Stored {
	t.Helper()
	stored, err := db.StoreMessages(context.Background(), messages)
	must(t, err)
	return stored
}

// collected returns the lines of the events of a filter, without newlines.
func collected(t testing.TB, db *database.DB, f database.CollectedFilter) (lines []string) {
	t.Helper()
	for c, err := range db.CollectedEvents(context.Background(), f) {
		must(t, err)
		lines = append(lines, c.Line)
	}
	return lines
}

// numberOf returns the result of a query for one number.
func numberOf(t testing.TB, db *database.DB, query string) (n int64) {
	t.Helper()
	must(t, db.Read().QueryRowContext(context.Background(), query).Scan(&n))
	return n
}

// A message that is sent again, by its id or with other bounds, adds nothing; lines under a known id
// that are new are not lost.
func TestCollectedOnce(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		a, b, c := stepLine(t, "s", 0, 0), stepLine(t, "s", 1, 1), endLine(t, "s", "fail", 2)
		for i, tt := range []struct {
			message database.Message
			want    database.Stored
		}{
			{message("b", "a.1.1.0", a, b), database.Stored{Messages: 1, Events: 2}},
			{message("b", "a.1.1.0", a, b), database.Stored{Known: 1}},
			{message("b", "a.1.1.300", b, c), database.Stored{Messages: 1, Events: 1}},
			{message("b", "a.1.1.0", a, b, c, stepLine(t, "s", 3, 0)), database.Stored{Known: 1, Events: 1}},
			{message("other", "a.1.1.0-other", a), database.Stored{Messages: 1, Events: 1}},
		} {
			if got := keepMessages(t, db, tt.message); !cmp.Equal(got, tt.want) {
				t.Errorf("message %d: %+v, want %+v", i, got, tt.want)
			}
		}
		if got := collected(t, db, database.CollectedFilter{Board: "b"}); len(got) != 4 || got[0]+"\n" != a || got[2]+"\n" != c {
			t.Errorf("%q", got)
		}
		if n := numberOf(t, db, "SELECT count(*) FROM agent_messages"); n != 3 {
			t.Errorf("%d messages", n)
		}
		err := db.Write(context.Background(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(context.Background(), "UPDATE agent_events SET line = ''")
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "never change") {
			t.Errorf("an event was changed: %v", err)
		}
	})
}

// Each line is stored once, also where it is sent again, in other pieces and in another order.
func TestCollectedOnceWhateverIsResent(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		round := 0
		rapid.Check(t, func(r *rapid.T) {
			round++
			board := fmt.Sprintf("b%d", round)
			n := rapid.IntRange(1, 60).Draw(r, "lines")
			var all []string
			for i := range n {
				all = append(all, stepLine(t, "s", i, i%3))
			}
			var messages []database.Message
			for from := 0; from < n; {
				to := rapid.IntRange(from+1, n).Draw(r, "to")
				m := message(board, fmt.Sprintf("%s.1.1.%d", board, from), all[from:to]...)
				messages = append(messages, m)
				if rapid.Bool().Draw(r, "again") {
					messages = append(messages, m)
				}
				if rapid.Bool().Draw(r, "back") {
					from = rapid.IntRange(0, to).Draw(r, "from")
					continue
				}
				from = to
			}
			var events int64
			for len(messages) > 0 {
				k := rapid.IntRange(1, len(messages)).Draw(r, "batch")
				stored, err := db.StoreMessages(context.Background(), messages[:k])
				if err != nil {
					r.Fatal(err)
				}
				events += stored.Events
				messages = messages[k:]
			}
			got := collected(t, db, database.CollectedFilter{Board: board})
			if strings.Join(got, "\n")+"\n" != strings.Join(all, "") || events != int64(n) {
				r.Fatalf("%d lines became %d, %d were new", n, len(got), events)
			}
		})
	})
}

// What cannot be read is put aside, once, and holds nothing up.
func TestCollectedAside(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		good := stepLine(t, "s", 0, 0)
		bad := []database.Message{
			message("b", "a.1.1.1", good, "{"),
			message("b", "", good),
			message("b", strings.Repeat("x", 600), good),
			message("b", "a.1.1.2"),
			message("b", "a.1.1.3", "\xff\x00\n"),
			message("b", "a.1.1.4", `{"event":"step","time":"2026-11-22T10:00:00Z"}`+"\n"),
			{ID: "a.1.1.5", Subject: "stepagent.1.lab.ctl.all.status", Body: []byte(good)},
			message("b", "a.1.1.6", stepLine(t, noise(9000), 0, 0)),
			message("b", "a.1.1.7", endLine(t, noise(201), "pass", 1)),
			message(noise(9000), "a.1.1.8", good),
			message("b\xff", "a.1.1.10", good),
			message("b\x00", "a.1.1.11", good),
			{ID: "a.1.1.12", Subject: "stepagent.1.lab\xff.b.step", Body: []byte(good)},
		}
		wants := []string{
			"line 2 of the message is no event of an agent's record", "it has no id", "is longer than 512 bytes", "it has no event",
			"line 1 of the message is no event", "line 1 of the message is a step event with nothing in it", "is not that of a result",
			"line 1 of the message has a session name of 9000 bytes; at most 200", "a session name of 201 bytes",
			"the name of the board has 9000 bytes; at most 200", "is not UTF-8", "has control characters", `"lab\xff", is not UTF-8`,
		}
		for range 2 {
			stored := keepMessages(t, db, append(bad[:len(bad):len(bad)], message("b", "a.1.1.9", good))...)
			if len(stored.Rejected) != len(bad) {
				t.Fatalf("%+v", stored)
			}
			for i, r := range stored.Rejected {
				if r.Index != i || !strings.Contains(r.Problem.Error(), wants[i]) {
					t.Errorf("message %d: %v, want %s", r.Index, r.Problem, wants[i])
				}
			}
		}
		if n := numberOf(t, db, "SELECT count(*) FROM agent_rejects"); n != int64(len(bad)) {
			t.Errorf("%d messages are put aside, want %d", n, len(bad))
		}
		var body []byte
		must(t, db.Read().QueryRowContext(context.Background(), "SELECT body FROM agent_rejects WHERE id = 'a.1.1.3'").Scan(&body))
		if !bytes.Equal(body, bad[4].Body) {
			t.Errorf("%q", body)
		}
		if got := collected(t, db, database.CollectedFilter{}); len(got) != 1 {
			t.Errorf("%q", got)
		}
		info, err := db.Info(context.Background())
		if err != nil || info.AgentEvents != 1 || info.AgentBoards != 1 || info.Rejects != int64(len(bad)) {
			t.Errorf("%+v, error %v", info, err)
		}
	})
}

// noise returns a name that PostgreSQL cannot compress, and so not store in an index if it is long.
func noise(bytes int) string {
	random := rand.New(rand.NewPCG(1, uint64(bytes)))
	name := make([]byte, bytes)
	for i := range name {
		name[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[random.IntN(64)]
	}
	return string(name)
}

// For all names: a message is stored or put aside, so that none holds up its batch. The longest names that an
// agent may have are stored.
func TestCollectedNames(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		owned := noise(database.MaxNameBytes) + auditlog.IdentityMark + noise(9000)
		stored := keepMessages(t, db, message(noise(database.MaxNameBytes), "a", stepLine(t, owned, 0, 0)))
		if stored.Events != 1 || len(stored.Rejected) > 0 {
			t.Errorf("%+v", stored)
		}
		name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
			rapid.Map(rapid.IntRange(1, 5000), noise))
		rapid.Check(t, func(r *rapid.T) {
			session := name.Draw(r, "session")
			m := message(name.Draw(r, "board"), name.Draw(r, "id"), stepLine(t, session, 0, 0), endLine(t, session, "pass", 1))
			if rapid.Bool().Draw(r, "other subject") {
				m.Subject = name.Draw(r, "subject")
			}
			stored, err := db.StoreMessages(context.Background(), []database.Message{m})
			if err != nil || stored.Messages+stored.Known+int64(len(stored.Rejected)) != 1 {
				r.Fatalf("%+v, error %v", stored, err)
			}
		})
	})
}

// The columns and the views say what the lines do. Kinds of events that are not known are kept.
func TestCollectedColumns(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		step := auditlog.Event{Kind: auditlog.KindStep, Time: start, Step: &auditlog.Step{Session: "night·ada", Identity: "ada", Client: "c\x00", StepID: -1,
			Position: 3, ErrorCode: 1, Reason: "out_of_order", Detail: "why", Replayed: true, Judged: jsonl.Seconds(1500 * time.Microsecond)}}
		keepMessages(t, db, message("b", "1", auditLine(t, step), endLine(t, "night·ada", "incomplete", 1),
			`{"event":"news","time":"2026-12-01T00:00:00+09:00","more":[1]}`+"\n",
			auditLine(t, auditlog.Event{Kind: auditlog.KindDropped, Time: start, Dropped: &auditlog.Dropped{Count: 3, Cause: "x"}})))
		var session, id, identity, client, reason string
		var stepID, position, code, replayed int64
		var judged float64
		var replied sql.NullFloat64
		var at database.Time
		must(t, db.Read().QueryRowContext(context.Background(), `SELECT at, session, session_id, identity, client, step_id, position, error_code, reason, replayed,
			judged, replied FROM agent_steps`).Scan(&at, &session, &id, &identity, &client, &stepID, &position, &code, &reason, &replayed, &judged, &replied))
		if session != "night" || id != "night·ada" || identity != "ada" || client != "c\uFFFD" || stepID != -1 || position != 3 || code != 1 || reason != "out_of_order" ||
			replayed != 1 || judged != 0.0015 || replied.Valid || !time.Time(at).Equal(start) {
			t.Error(session, id, identity, client, stepID, position, code, reason, replayed, judged, replied, at)
		}
		var verdict string
		var steps int64
		must(t, db.Read().QueryRowContext(context.Background(), "SELECT verdict, of_steps FROM agent_sessions WHERE session = 'night'").Scan(&verdict, &steps))
		if verdict != "incomplete" || steps != 2 {
			t.Error(verdict, steps)
		}
		if n := numberOf(t, db, "SELECT count(*) FROM agent_events WHERE kind = 'news' AND session IS NULL"); n != 1 {
			t.Errorf("%d events of another kind", n)
		}
	})
}

func TestCollectedFilter(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		keepMessages(t, db,
			message("b1", "1", stepLine(t, "s", 0, 0), stepLine(t, "s", 1, 1), endLine(t, "s", "fail", 2)),
			message("b2", "2", stepLine(t, "s·ada", 3, 0), stepLine(t, "other", 4, 0), endLine(t, "other", "pass", 5)))
		for want, f := range map[string]database.CollectedFilter{
			"step 1 step 2 end step 4 step 5 end": {},
			"step 5 end":                          {Limit: 2},
			"step 1 step 2 step 4 step 5":         {Kind: "step"},
			"step 1 step 2 end":                   {Board: "b1"},
			"step 1 step 2 step 4":                {Session: "s", Kind: "step"},
			"step 2 end":                          {NotPassed: true},
			"end step 4":                          {Since: start.Add(2 * time.Millisecond), Until: start.Add(4 * time.Millisecond)},
			"step 4":                              {Board: "b2", Session: "s", Fleet: "lab"},
			"":                                    {Fleet: "other"},
		} {
			var got []string
			for _, line := range collected(t, db, f) {
				e, err := auditlog.Decode([]byte(line))
				must(t, err)
				if e.Step == nil {
					got = append(got, "end")
					continue
				}
				got = append(got, fmt.Sprintf("step %d", e.Step.StepID))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%+v selects %q, want %q", f, got, want)
			}
		}
		for _, err := range db.CollectedEvents(context.Background(), database.CollectedFilter{}) {
			must(t, err)
			break // the rows are closed
		}
	})
}

// Lists of collected events read an index in its order.
func TestCollectedListsUseIndexes(t *testing.T) {
	databasetest.Each(t, func(t *testing.T, db *database.DB) {
		for index, f := range map[string]database.CollectedFilter{
			"agent_events_at":      {Limit: 10, Since: start},
			"agent_events_session": {Session: "s", Limit: 10},
		} {
			query, args := f.Query()
			if got := plan(t, db, query, args); !strings.Contains(got, index) || strings.Contains(got, "Seq Scan") {
				t.Errorf("the index %s is not used:\n%s", index, got)
			}
		}
		query, args := database.CollectedFilter{Board: "b", Limit: 10}.Query()
		if got := plan(t, db, query, args); !strings.Contains(got, "PRIMARY KEY") && !strings.Contains(got, "agent_events_pkey") {
			t.Errorf("the primary key is not used:\n%s", got)
		}
	})
}

// A database of the first schema gets the tables and keeps its runs.
func TestMigrationAddsTables(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		ctx := context.Background()
		must(t, database.CreateSchema(ctx, place, 1))
		db := databasetest.Open(t, place)
		_, added, err := db.Add(ctx, "a", lines(t, events(start, 2, 0)), database.Meta{})
		if err != nil || !added {
			t.Fatal(added, err)
		}
		keepMessages(t, db, message("b", "1", stepLine(t, "s", 0, 0)))
		info, err := db.Info(ctx)
		if err != nil || info.Schema != 2 || info.Runs != 1 || info.AgentEvents != 1 {
			t.Errorf("%+v, error %v", info, err)
		}
	})
}

// For all bytes: a message is stored or put aside, and what is stored is read back.
func FuzzStoreMessage(f *testing.F) {
	db := databasetest.Open(f, databasetest.File(f))
	f.Add("a.1.1.0", "stepagent.1.lab.b.step", []byte(stepLine(f, "s", 0, 1)+endLine(f, "s", "pass", 1)))
	f.Add("", "x", []byte("{"))
	f.Add("\x00", "stepagent.1.lab.b.status", []byte(`{"event":"news","time":"0000-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, id, subject string, body []byte) {
		m := database.Message{ID: id, Subject: subject, Sequence: 1, Published: start, Body: body}
		stored := keepMessages(t, db, m)
		if stored.Messages+stored.Known+int64(len(stored.Rejected)) != 1 {
			t.Fatalf("%+v", stored)
		}
		if again := keepMessages(t, db, m); again.Messages != 0 || again.Events != 0 {
			t.Fatalf("stored again: %+v", again)
		}
		for c, err := range db.CollectedEvents(context.Background(), database.CollectedFilter{Limit: 10}) {
			must(t, err)
			if _, err := auditlog.Decode([]byte(c.Line)); err != nil {
				t.Fatalf("%q: %v", c.Line, err)
			}
		}
	})
}

// BenchmarkStoreMessages stores 200,000 steps in messages of 180.
func BenchmarkStoreMessages(b *testing.B) {
	var messages []database.Message
	for i := range 1111 {
		var lines []string
		for j := range 180 {
			lines = append(lines, stepLine(b, fmt.Sprintf("s%d", i%40), i*180+j, 0))
		}
		messages = append(messages, message("b", fmt.Sprint(i), lines...))
	}
	for b.Loop() {
		b.StopTimer()
		db := databasetest.Open(b, benchPlace(b))
		b.StartTimer()
		for from := 0; from < len(messages); from += 128 {
			keepMessages(b, db, messages[from:min(from+128, len(messages))]...)
		}
	}
	b.ReportMetric(float64(len(messages)*180*b.N)/b.Elapsed().Seconds(), "events/s")
}
