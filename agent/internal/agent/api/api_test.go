package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/eventstream"
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An agent is one without sessions; ready is what a probe returns.
type agent struct {
	ready  error
	probes atomic.Int32
}

func (*agent) Status() api.Status {
	return api.Status{
		Version: "test", Started: time.Now(), Uptime: jsonl.Seconds(1500 * time.Millisecond), Allow: []string{"all"},
		Connections: server.Stats{RefusedByReason: map[protocol.Reason]uint64{protocol.Busy: 1}, Handshakes: map[server.HandshakeOutcome]uint64{server.HandshakeOK: 1}},
		Sessions:    session.Stats{ByReason: map[protocol.Reason]uint64{protocol.OutOfOrder: 1}},
		Store:       sessionstore.Status{Survives: "restart", Dir: "/x", LastCommit: time.Now(), Restored: 1, DroppedWhy: "newer", Damaged: []string{"log-1.newer"}},
		Trouble:     []string{"the disk is full"}, HTTP: api.HTTP{Address: "127.0.0.1:1"},
		Validators: []api.Process{{Generation: 3, Status: pluginhost.Status{Validators: []string{"sequence"}, Reads: []string{"step_id"}, LastError: "lost"}}},
	}
}

func (*agent) Settings() api.Settings {
	return api.Settings{Files: []string{"agent.toml"}, Values: map[string]any{"port": 1}}
}

func (*agent) Reload() error { return errors.New("agent.toml:1:1: prot: unknown key") }

func (a *agent) Ready(ctx context.Context) error {
	a.probes.Add(1)
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("the probe has no deadline")
	}
	return a.ready
}

func serve(t *testing.T, a *agent, change func(*api.Options)) string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	o := api.Options{
		Version: "1.2.3", Agent: a, Sessions: session.NewManager(judge.New(judge.NewChain(judge.Options{})), session.Options{}, log),
		Events: eventstream.New(eventstream.Options{}),
	}
	if change != nil {
		change(&o)
	}
	server := httptest.NewServer(api.New(o))
	t.Cleanup(server.Close)
	return server.URL
}

// An answer is a status, a header, and a body if it is JSON.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func do(t *testing.T, method, url string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	a := answer{reply.StatusCode, reply.Header, map[string]any{}}
	if strings.Contains(reply.Header.Get("Content-Type"), "json") {
		if err := json.NewDecoder(reply.Body).Decode(&a.body); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func TestProblems(t *testing.T) {
	t.Parallel()
	url := serve(t, &agent{ready: errors.New("no reply comes")}, nil)
	for _, tt := range []struct {
		method, path string
		status       int
		detail       string
	}{
		{"POST", "/api/v1/reload", 422, "agent.toml:1:1: prot: unknown key"},
		{"GET", "/api/v1/sessions/none", 404, "no session none is open"},
		{"GET", "/api/v1/sessions/%2E%2E", 404, "no session .. is open"},
		{"GET", "/api/v1/sessions/a%2F%3Cb%3E%00", 404, "no session a/<b>\x00 is open"},
		{"POST", "/api/v1/sessions/none/end", 404, "no session none is open"},
		{"GET", "/api/v1/sessions?limit=10001", 422, "validation failed"},
		{"GET", "/api/v1/sessions?limit=x", 422, "validation failed"},
		{"GET", "/api/v1/reload", 405, "/api/v1/reload is for POST"},
		{"DELETE", "/api/v1/status", 405, "/api/v1/status is for GET"},
		{"GET", "/api/v1/none", 404, "there is no /api/v1/none; see /api/v1/openapi.json"},
		{"GET", "/v1/status", 404, "there is no /v1/status; see /api/v1/openapi.json"},
		{"GET", "/metrics", 404, "there is no /metrics; see /api/v1/openapi.json"},
		{"GET", "/readyz", 503, "not ready: no reply comes"},
	} {
		got := do(t, tt.method, url+tt.path)
		if got.status != tt.status || got.header.Get("Content-Type") != "application/problem+json" ||
			got.body["detail"] != tt.detail || got.body["status"] != float64(tt.status) || got.body["title"] != http.StatusText(tt.status) {
			t.Errorf("%s %s: %+v", tt.method, tt.path, got)
		}
	}
}

// TestSessionsByName: a name selects the session of its only owner, an id always one, and a name with
// several owners none.
func TestSessionsByName(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	sessions := session.NewManager(judge.New(judge.NewChain(judge.Options{})),
		session.Options{Steps: 9, IdleTimeout: time.Hour, ResumeWindow: time.Hour, MaxOpen: 99, MaxOpenPerAddress: 99, RememberedReplies: 1}, log)
	defer sessions.Close()
	begin := func(identity, name string) {
		c := sessions.Connect(session.Peer{Addr: netip.MustParseAddrPort("192.0.2.1:4711"), Identity: identity})
		t.Cleanup(c.Close)
		if answer := c.Do(t.Context(), protocol.Request{StepID: 1, Session: name}, time.Now()); !answer.Reply.OK() {
			t.Fatalf("%+v", answer)
		}
	}
	begin("ada", "a")
	begin("bob", "a")
	begin("", "b")
	begin("bob", "b")
	begin("ada", "c")
	begin("<b>", "<i>")
	url := serve(t, &agent{}, func(o *api.Options) { o.Sessions = sessions })
	for _, tt := range []struct {
		method, path string
		status       int
		member, want string
	}{
		{"GET", "/a", 409, "detail", "2 sessions with the name a are open: a·ada, a·bob; give the id of one"},
		{"POST", "/a/end", 409, "detail", "2 sessions with the name a are open: a·ada, a·bob; give the id of one"},
		{"GET", "/a·bob", 200, "identity", "bob"},
		{"GET", "/%3Ci%3E", 200, "identity", "<b>"},
		{"GET", "/b", 200, "id", "b"},
		{"GET", "/c", 200, "id", "c·ada"},
		{"GET", "/c·bob", 404, "detail", "no session c·bob is open"},
		{"POST", "/a·bob/end", 204, "", ""},
		{"GET", "/a", 200, "id", "a·ada"},
		{"POST", "/c/end", 204, "", ""},
		{"POST", "/c/end", 404, "detail", "no session c is open"},
		{"POST", "/b/end", 204, "", ""},
		{"GET", "/b", 200, "id", "b·bob"},
	} {
		got := do(t, tt.method, url+"/api/v1/sessions"+tt.path)
		if text, _ := got.body[tt.member].(string); got.status != tt.status || text != tt.want {
			t.Errorf("%s %s: %d %v, want %d with %s %s", tt.method, tt.path, got.status, got.body, tt.status, tt.member, tt.want)
		}
	}
	if got := do(t, "GET", url+"/api/v1/sessions?filter=bob"); got.body["total"] != 1.0 {
		t.Errorf("bob has %v", got.body)
	}
}

// TestReadyIsAskedOnce: any number of callers cause one probe at a time.
func TestReadyIsAskedOnce(t *testing.T) {
	t.Parallel()
	a := &agent{}
	url := serve(t, a, nil)
	var callers sync.WaitGroup
	began := time.Now()
	for range 20 {
		callers.Go(func() {
			if got := do(t, "GET", url+"/readyz"); got.status != http.StatusOK {
				t.Error(got)
			}
		})
	}
	callers.Wait()
	if got, most := a.probes.Load(), int32(1+time.Since(began)/time.Second); got > most {
		t.Errorf("%d probes, want at most %d", got, most)
	}
}

func TestMetricsAndPage(t *testing.T) {
	t.Parallel()
	named := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Handler", name) })
	}
	url := serve(t, &agent{}, func(o *api.Options) { o.Metrics, o.Page = named("metrics"), named("page") })
	for path, want := range map[string]string{"/": "page", "/page.js": "page", "/metrics": "metrics", "/livez": "", "/api/v1/status": ""} {
		if got := do(t, "GET", url+path); got.header.Get("X-Handler") != want || got.status != http.StatusOK {
			t.Errorf("%s: %d by %q, want %q", path, got.status, got.header.Get("X-Handler"), want)
		}
	}
	for _, tt := range []struct {
		method, path string
		want         int
	}{{"GET", "/api/v1/none", 404}, {"POST", "/api/v1/none", 404}, {"GET", "/api/v1/reload", 405}, {"POST", "/api/v1/status", 405}, {"POST", "/page.js", 405}} {
		if got := do(t, tt.method, url+tt.path); got.status != tt.want || got.body["status"] != float64(tt.want) {
			t.Errorf("%s %s: %+v, want %d", tt.method, tt.path, got, tt.want)
		}
	}
}
