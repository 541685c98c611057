package web

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/stepagent/stepagent/agent/internal/client/database"
	"github.com/stepagent/stepagent/agent/internal/client/database/databasetest"
	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
)

const hostile = `<img src=x onerror=alert(1)>"'&{{.}}`

// addRecord stores the record with events of nearly all kinds, with a new id.
func addRecord(t *testing.T, db *database.DB, m database.Meta) string {
	t.Helper()
	raw, err := os.ReadFile("../record/testdata/format1.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.Replace(raw, []byte(`"host":"bench-7"`), fmt.Appendf(nil, `"host":%q`, database.NewID(time.Now())), 1)
	id, added, err := db.Add(t.Context(), "record", raw, m)
	if err != nil || !added {
		t.Fatalf("added: %t, %v", added, err)
	}
	return id
}

// insert inserts ended runs with the same steps by SQL, one an hour up to now; took returns the time of the steps.
func insert(t *testing.T, db *database.DB, procedure string, n, steps int, took func(run, step int) float64) (ids []string) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for run := range n {
			at := time.Now().Add(time.Duration(run-n) * time.Hour)
			ids = append(ids, database.NewID(at))
			_, err := tx.ExecContext(t.Context(), `INSERT INTO runs (id, procedure, procedure_sha256, board, started, seen, state, cause, verdict, duration, steps, passed)
				VALUES ($1, $2, 'aa', 'bench-1', $3, $3, 'ended', 'finished', 'pass', 1.5, $4, $4)`, ids[run], procedure, database.Time(at), steps)
			if err != nil {
				return err
			}
			for step := range steps {
				_, err := tx.ExecContext(t.Context(), `INSERT INTO steps (run, idx, step_id, timeout, interval, outcome, sent_at, took)
					VALUES ($1, $2, $3, 0.5, 0, 'passed', 0, $4)`, ids[run], step+1, 100+step, took(run, step))
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// open returns the site of a database.
func open(t *testing.T, place string) *Site {
	t.Helper()
	s, err := New(place, htmlkit.English)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get asks for a page.
func get(t *testing.T, s *Site, target string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// has checks the status of a page, and that it has all the texts.
func has(t *testing.T, s *Site, target string, status int, texts ...string) string {
	t.Helper()
	w := get(t, s, target)
	body := w.Body.String()
	if w.Code != status {
		t.Errorf("%s: status %d, want %d: %s", target, w.Code, status, main(body))
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s lacks %q: %s", target, text, main(body))
		}
	}
	return body
}

func main(body string) string {
	_, rest, _ := strings.Cut(body, "<main")
	return rest
}

// fill makes a database with something of everything, and returns the id of a run with a record.
func fill(t *testing.T, db *database.DB) string {
	t.Helper()
	ctx := t.Context()
	for _, content := range []string{`{"test_services":[{"step_id":1,"timeout":5}]}`, `{"test_services":[{"step_id":1,"timeout":6}]}`} {
		if _, _, err := db.Import(ctx, "door", []byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	insert(t, db, "door", 12, 3, func(run, step int) float64 { return 0.01 * float64(1+run+step) })
	id := addRecord(t, db, database.Meta{Procedure: "gate", Board: hostile, Labels: map[string]string{"build": hostile}})
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO queue (procedure, board, labels, problem, state) VALUES ($1, $1, $1, $1, 'failed')`, hostile)
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO queue (procedure, version, board, every) VALUES ('door', 2, 'bench-1', '1h30m')`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// targets are addresses of every page.
func targets(id string) []string {
	return []string{
		"/", "/?procedure=door&board=bench-1", "/?label=build%3Dx&verdict=fail&since=2026-01-01&until=2026-12-31T10:00", "/?page=2",
		"/?verdict=running", "/?verdict=interrupted", "/run/" + id, "/run/last", "/trend", "/trend?procedure=door", "/trend?procedure=gate&board=x",
		"/queue", "/procedures", "/procedure?name=door", "/procedure?name=door&from=2&to=1", "/procedure?name=unknown",
	}
}

func TestPages(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		id := fill(t, databasetest.Open(t, place))
		s := open(t, place)
		for _, target := range targets(id) {
			for _, choice := range []string{"lang=en", "lang=ko&scheme=dark"} {
				join := "?"
				if strings.Contains(target, "?") {
					join = "&"
				}
				body := has(t, s, target+join+choice, http.StatusOK)
				checkMarkup(t, target, body)
			}
		}
		has(t, s, "/", http.StatusOK, ">PASS<", ">FAIL<", "13 runs", `href="/trend?procedure=door"`)
		has(t, s, "/?procedure=door&page=1", http.StatusOK, "12 runs")
		has(t, s, "/?board=nowhere", http.StatusOK, "No run is selected")
		has(t, s, "/run/"+id, http.StatusOK, `href="/run/`+id+`/report"`, "timed out", "Agent&#39;s address")
		has(t, s, "/trend?procedure=door", http.StatusOK, "No. 1, step 100", "Median 65.0 ms", "Timeout 0.5 s")
		has(t, s, "/queue", http.StatusOK, "door@2", "1h30m", "0/no end")
		has(t, s, "/procedure?name=door", http.StatusOK, `<span class="added">&#43;{&#34;test_services&#34;`, `timeout&#34;:6`)
		has(t, s, "/procedure?name=unknown", http.StatusOK, "No version of this procedure is stored")
	})
}

// TestCompare: the page says what package history finds, in words, and never a change without its interval.
func TestCompare(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		db := databasetest.Open(t, place)
		jitter := func(run, step int) float64 { return 0.1 * float64(step+1) * (1 + 0.002*float64((run*7+step*3)%10)) }
		before := insert(t, db, "door", 12, 2, jitter)
		if err := db.SetBaseline(t.Context(), "door", "release", before); err != nil {
			t.Fatal(err)
		}
		slow := insert(t, db, "door", 12, 2, func(run, step int) float64 { return 1.05 * jitter(run, step) })
		same := insert(t, db, "door", 12, 2, func(run, step int) float64 { return jitter(run+5, step) })
		s := open(t, place)
		for target, texts := range map[string][]string{
			"/compare": {"Name the runs to compare"},
			"/compare?run=" + strings.Join(slow, ","):                                  {"▲ slower", "by 4.", "12 replies", "Each run is one value"},
			"/compare?with=" + strings.Join(slow, ",") + "&run=release":                {"▼ faster", "by 4."},
			"/compare?run=" + strings.Join(same, ",") + "&with=release":                {"= no difference seen", "between "},
			"/compare?run=" + slow[0] + "&with=" + slow[1]:                             {"… too few runs", "needed"},
			"/compare?run=" + strings.Join(slow, ",") + "&with=release&lang=ko&page=1": {"느려짐", "변화 폭 4."},
			"/trend?procedure=door&baseline=release":                                   {"Against the baseline release", `class="band"`},
			"/run/" + slow[0]:                                                          {"with=release", "the run before"},
		} {
			body := has(t, s, target, http.StatusOK, texts...)
			checkMarkup(t, target, body)
		}
		has(t, s, "/compare?run=nothing", http.StatusNotFound)
		has(t, s, "/compare?run=last&with=a%3Db", http.StatusNotFound, "no run is selected")
	})
}

// checkMarkup parses a page: every element is one of the templates, whatever text the database has.
func checkMarkup(t *testing.T, target, body string) {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "img" || n.Data == "script" && len(n.Attr) != 2 || n.Data == "style" || n.Data == "iframe" {
			t.Errorf("%s has an element %s", target, n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on") || a.Key == "style":
				t.Errorf("%s: %s has an attribute %s", target, n.Data, a.Key)
			case a.Key == "id" && ids[a.Val]:
				t.Errorf("%s: two elements have the id %s", target, a.Val)
			case a.Key == "id":
				ids[a.Val] = true
			case a.Key == "href" && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "#") && a.Val != "data:,":
				t.Errorf("%s links to %s", target, a.Val)
			}
		}
	}
}

func TestBadParameters(t *testing.T) {
	place := databasetest.File(t)
	fill(t, databasetest.Open(t, place))
	s := open(t, place)
	for target, want := range map[string]string{
		"/?x=1":                                  "The parameter x cannot be &#34;1&#34;",
		"/?page=0":                               "a number from 1 on",
		"/?page=x":                               "a number from 1 on",
		"/?page=1000000":                         "a number from 1 on",
		"/?page=1&page=2":                        "may be given once",
		"/?label=build":                          "form key=value",
		"/?verdict=PASS":                         "pass, fail, undecided",
		"/?since=yesterday":                      "A time has the form",
		"/?since=2026-02-30":                     "A time has the form",
		"/?since=2026-02-02&until=2026-02-02":    "must be before",
		"/?before=last":                          "the id of a run",
		"/trend?before=20261130T000000-abcdef":   "The parameter before cannot be",
		"/?lang=fr":                              "en and ko",
		"/?scheme=red":                           "light and dark",
		"/trend?procedure=door&baseline=no":      "no baseline of this name",
		"/procedure":                             "the name of a procedure",
		"/procedure?name=door&from=-1":           "a number from 1 on",
		"/?verdict=" + strings.Repeat("x", 4000): "…",
	} {
		has(t, s, target, http.StatusBadRequest, want)
	}
	for _, target := range []string{"/nothing", "/run/", "/run/20200101T000000-000000", "/run/x", "/run/20200101T000000-000000/report",
		"/procedure?name=door&from=9"} {
		has(t, s, target, http.StatusNotFound)
	}
	has(t, s, "/?verdict=x&lang=ko", http.StatusBadRequest, "매개변수")
	if w := get(t, s, "/?lang=en"); w.Code != http.StatusOK {
		t.Error(w.Code)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code < 400 {
		t.Errorf("POST: status %d", w.Code)
	}
}

func TestLanguageOfBrowser(t *testing.T) {
	place := databasetest.File(t)
	databasetest.Open(t, place)
	s, err := New(place, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for header, want := range map[string]string{"": "en", "ko-KR,ko;q=0.9,en;q=0.8": "ko", "fr, EN-us;q=0.5, ko": "en", "de": "en", ";;,,": "en"} {
		if w := get(t, s, "/", "Accept-Language", header); !strings.Contains(w.Body.String(), `<html lang="`+want+`">`) {
			t.Errorf("%q does not get %s", header, want)
		}
	}
	has(t, s, "/", http.StatusOK, "The database has no runs yet")
}

// TestHeaders: what a page may do, and that it is not sent again to a browser that has it.
func TestHeaders(t *testing.T) {
	place := databasetest.File(t)
	id := fill(t, databasetest.Open(t, place))
	s := open(t, place)
	for target, kind := range map[string]string{"/": "text/html", "/style.css": "text/css", "/app.js": "text/javascript", "/run/" + id + "/report": "text/html"} {
		w := get(t, s, target)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d, %v", target, w.Code, w.Header())
		}
		if policy := w.Header().Get("Content-Security-Policy"); kind == "text/html" &&
			(!strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") || !strings.Contains(policy, "frame-ancestors 'none'")) {
			t.Errorf("%s: policy %q", target, policy)
		}
		if again := get(t, s, target, "If-None-Match", w.Header().Get("ETag")); target != "/" && again.Code != http.StatusNotModified {
			t.Errorf("%s: again: %d", target, again.Code)
		}
	}
	if body := get(t, s, "/run/"+id+"/report").Body.String(); !strings.Contains(body, "The test failed") {
		t.Errorf("the report is %.500s", body)
	}
}

// TestLiveRun: a run in progress shows its next step, and one without a sign of life is interrupted.
func TestLiveRun(t *testing.T) {
	databasetest.EachPlace(t, func(t *testing.T, place string) {
		db := databasetest.Open(t, place)
		s := open(t, place)
		recorder, err := db.Begin(t.Context(), database.Meta{Procedure: "gate", Board: "bench-9"}, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile("../record/testdata/format1.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(raw, []byte("\n"))
		if _, err := recorder.Write(bytes.Join(lines[:3], nil)); err != nil {
			t.Fatal(err)
		}
		await(t, s, "/", "step 2, no. 2 of 8")
		has(t, s, "/run/"+recorder.ID(), http.StatusOK, "in progress", `class="cell p"`, `class="cell next"`)
		has(t, s, "/?verdict=running", http.StatusOK, "1 run<")
		if err := recorder.Close(); err != nil {
			t.Fatal(err)
		}
		await(t, s, "/", "Nothing is running.")
		has(t, s, "/run/"+recorder.ID(), http.StatusOK, "interrupted")
	})
}

// await waits until a page has a text.
func await(t *testing.T, s *Site, target, text string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		body := get(t, s, target).Body.String()
		if strings.Contains(body, text) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s lacks %q: %s", target, text, main(body))
		}
	}
}

// TestDatabaseGoesAway: the page says so, and comes back with another file of the name.
func TestDatabaseGoesAway(t *testing.T) {
	place := databasetest.File(t)
	s := open(t, place)
	has(t, s, "/", http.StatusServiceUnavailable, "cannot be read now", "does not exist")
	if _, err := os.Stat(place); err == nil {
		t.Error("the page makes a database")
	}
	db, err := database.Open(context.Background(), place)
	if err != nil {
		t.Fatal(err)
	}
	insert(t, db, "door", 3, 1, func(int, int) float64 { return 1 })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, s, "/", http.StatusOK, "3 runs")
	if err := os.Rename(place, place+".away"); err != nil {
		t.Fatal(err)
	}
	has(t, s, "/", http.StatusServiceUnavailable, "cannot be read now")
	if err := os.WriteFile(place, []byte("no database at all, but long enough to be read as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	has(t, s, "/?lang=ko", http.StatusServiceUnavailable, "1초마다")
	if err := os.Rename(place+".away", place); err != nil {
		t.Fatal(err)
	}
	has(t, s, "/", http.StatusOK, "3 runs")
}

// TestLong: of many runs, procedures and steps a page shows a part, and links to the rest.
func TestLong(t *testing.T) {
	place := databasetest.File(t)
	db := databasetest.Open(t, place)
	for i := range 30 {
		insert(t, db, fmt.Sprintf("procedure %02d", i), 20, 1, func(int, int) float64 { return 0.1 })
	}
	ids := insert(t, db, "procedure 00", 1, 250, func(int, int) float64 { return 0.1 })
	s := open(t, place)
	has(t, s, "/", http.StatusOK, "1 to 50 of 601", "1 to 20 of 30", `rel="next" href="/?page=2"`, `rel="next" href="/?rows=2"`)
	has(t, s, "/?page=13", http.StatusOK, "601 to 601 of 601")
	has(t, s, "/?rows=2", http.StatusOK, "procedure 29")
	has(t, s, "/run/"+ids[0]+"?page=3", http.StatusOK, "201 to 250 of 250", `rel="prev"`)
	has(t, s, "/trend?procedure=procedure+00&page=21", http.StatusOK, "No. 250, step 349")
}

// TestOlderRuns: the link to older runs leads to the run after the last one that was shown, however many begin
// in the same second.
func TestOlderRuns(t *testing.T) {
	place := databasetest.File(t)
	db := databasetest.Open(t, place)
	ids := []string{"20261130T000000-abcdef"}
	for i := range maxRuns + listRuns {
		ids = append(ids, fmt.Sprintf("20261130T000001-%06x", i))
	}
	slices.Reverse(ids) // the newest first
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for _, id := range ids {
			at, err := time.Parse("20060102T150405", id[:15])
			if err == nil {
				_, err = tx.ExecContext(t.Context(), "INSERT INTO runs (id, procedure, started, seen, state) VALUES ($1, 'door', $2, $2, 'ended')", id, database.Time(at))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, place)
	row, older := regexp.MustCompile(`<tr id="r-([^"]*)"`), regexp.MustCompile(`<p><a href="(/\?[^"]*)">Older runs`)
	shown := func(body string) (rows []string) {
		for _, found := range row.FindAllStringSubmatch(body, -1) {
			rows = append(rows, found[1])
		}
		return rows
	}
	body := has(t, s, fmt.Sprintf("/?procedure=door&page=%d", maxRuns/listRuns), http.StatusOK)
	got, link := shown(body), older.FindStringSubmatch(body)
	if link == nil {
		t.Fatalf("there is no link to older runs: %s", main(body))
	}
	target := html.UnescapeString(link[1])
	got = append(got, shown(has(t, s, target, http.StatusOK, "51 runs"))...)
	body = has(t, s, target+"&page=2", http.StatusOK)
	got = append(got, shown(body)...)
	if diff := cmp.Diff(ids[maxRuns-listRuns:], got); diff != "" || older.MatchString(body) {
		t.Errorf("%s shows, after the first %d runs, %.500s", target, maxRuns, diff)
	}
}

// TestWrongDueTime: a row of which plain SQL has written the time wrongly is shown among the others.
func TestWrongDueTime(t *testing.T) {
	place := databasetest.File(t)
	err := databasetest.Open(t, place).Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO queue (procedure, board, due, added, state) VALUES ('door', 'bench-1', '2026-11-30T24:00:00Z', 'now', 'waiting'),
			('gate', 'bench-2', '2026-11-30T24:00:00Z', 'now', 'failed'), ('lift', 'bench-3', NULL, '2026-11-30T11:00:00Z', 'waiting')`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	body := has(t, open(t, place), "/queue", http.StatusOK, "bench-1", "bench-2", "bench-3")
	if n := strings.Count(body, "at once"); n != 1 {
		t.Errorf("%d entries are due at once", n)
	}
}

// TestNothingIsWritten: the pages leave the file as it is.
func TestNothingIsWritten(t *testing.T) {
	place := databasetest.File(t)
	db := databasetest.Open(t, place)
	id := fill(t, db)
	s := open(t, place)
	has(t, s, "/", http.StatusOK)
	before := dataVersion(t, db)
	for _, target := range targets(id) {
		_, _ = io.Copy(io.Discard, get(t, s, target).Body)
	}
	if after := dataVersion(t, db); after != before {
		t.Errorf("the file changed: %d, then %d", before, after)
	}
}

// dataVersion returns a number that changes when another connection has written.
func dataVersion(t *testing.T, db *database.DB) (n int64) {
	t.Helper()
	conn, err := db.Read().Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.QueryRowContext(t.Context(), "PRAGMA data_version").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
