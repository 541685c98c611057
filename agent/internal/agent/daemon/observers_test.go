package daemon_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
)

const patience = time.Minute

// withHTTP returns a config with an HTTP listener on the address.
func withHTTP(t *testing.T, address, more string) string {
	t.Helper()
	return fmt.Sprintf("port = 0\n[http]\nlisten = %q\ntoken_file = %q\n%s", address, filepath.Join(t.TempDir(), "token"), more)
}

// A browser sends requests to one of the two listeners.
type browser struct {
	t      *testing.T
	client *http.Client
	base   string
}

// overHTTP returns a browser for the agent's HTTP listener, atSocket one for its admin socket.
func overHTTP(t *testing.T, a *daemon.Agent) browser {
	t.Helper()
	return newBrowser(t, "http://"+a.Status().HTTP.Address, nil)
}

func atSocket(t *testing.T, o daemon.Options, a *daemon.Agent) browser {
	t.Helper()
	_, port, err := net.SplitHostPort(a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return newBrowser(t, "http://stepagent", func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(o.RuntimeDir, "admin-"+port+".sock"))
	})
}

func newBrowser(t *testing.T, base string, dial func(context.Context, string, string) (net.Conn, error)) browser {
	transport := &http.Transport{DialContext: dial}
	t.Cleanup(transport.CloseIdleConnections)
	return browser{t, &http.Client{Transport: transport, Timeout: patience}, base}
}

// get returns the status and the body of an answer. The headers are in pairs.
func (b browser) get(path string, headers ...string) (int, string) {
	b.t.Helper()
	reply := b.open(path, headers...)
	defer func() { _ = reply.Body.Close() }()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply.StatusCode, string(body)
}

func (b browser) open(path string, headers ...string) *http.Response {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	reply, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return reply
}

// A viewer follows the events.
type viewer struct {
	t     *testing.T
	reply *http.Response
	lines *bufio.Scanner
	last  string // id
}

func (b browser) follow(headers ...string) *viewer {
	b.t.Helper()
	reply := b.open("/api/v1/events", headers...)
	if reply.StatusCode != http.StatusOK {
		b.t.Fatal(reply.Status)
	}
	b.t.Cleanup(func() { _ = reply.Body.Close() })
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(nil, 1<<20)
	return &viewer{t: b.t, reply: reply, lines: lines}
}

// next returns the kind and the body of the next event; empty at the end of the stream.
func (v *viewer) next() (kind string, data []byte) {
	v.t.Helper()
	for v.lines.Scan() {
		name, value, _ := strings.Cut(v.lines.Text(), ": ")
		switch name {
		case "id":
			v.last = value
		case "event":
			kind = value
		case "data":
			data = []byte(value)
		case "":
			if kind != "" {
				return kind, data
			}
		}
	}
	return "", nil
}

// until reads changes until one fits, and returns it.
func (v *viewer) until(what string, fits func(api.Change) bool) api.Change {
	v.t.Helper()
	for {
		kind, data := v.next()
		if kind == "" {
			v.t.Fatalf("the stream ended before %s", what)
		}
		var c api.Change
		if kind != "change" {
			continue
		}
		if err := json.Unmarshal(data, &c); err != nil {
			v.t.Fatalf("%v in %s", err, data)
		}
		if fits(c) {
			return c
		}
	}
}

// steps sends messages over a connection and waits for the replies.
func steps(t *testing.T, a *daemon.Agent, messages ...string) {
	t.Helper()
	conn, err := net.Dial("tcp", a.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(conn)
	for _, message := range messages {
		if _, err := io.WriteString(conn, message); err != nil {
			t.Fatal(err)
		}
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
}

func step(name string, id int) string {
	return fmt.Sprintf(`{"step_id":%d,"timeout":5,"session":%q}`, id, name)
}

// has returns the session of that name in a change.
func has(name string, state session.State) func(api.Change) bool {
	return func(c api.Change) bool {
		for _, v := range c.Sessions {
			if v.ID == name && v.State == state {
				return true
			}
		}
		return false
	}
}

// TestOneAPI: both listeners give the same answers.
func TestOneAPI(t *testing.T) {
	t.Parallel()
	o, _ := options(t, withHTTP(t, "127.0.0.1:0", ""))
	a := start(t, o)
	steps(t, a, step("a/b", 1), step("..", 1), step("..", 7))
	web, socket := overHTTP(t, a), atSocket(t, o, a)
	idle := regexp.MustCompile(`"idle_seconds":[0-9.]+`) // between two answers it goes up
	for path, want := range map[string]int{
		"/api/v1/sessions": 200, "/api/v1/sessions/a%2Fb": 200, "/api/v1/sessions/%2E%2E": 200, "/api/v1/sessions/none": 404,
		"/api/v1/sessions?limit=0": 422, "/api/v1/config": 200, "/api/v1/openapi.json": 200, "/api/v1/reload": 405,
		"/livez": 200, "/readyz": 200, "/none": 404, "/": 200,
	} {
		status, body := web.get(path)
		otherStatus, other := socket.get(path)
		if status != want || status != otherStatus || idle.ReplaceAllString(body, "") != idle.ReplaceAllString(other, "") {
			t.Errorf("%s: %d %s\nat the socket: %d %s\nwant %d", path, status, body, otherStatus, other, want)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	o, _ := options(t, withHTTP(t, "127.0.0.1:0", "viewers = 2\n"))
	a := start(t, o)
	steps(t, a, step("before", 1))
	web := overHTTP(t, a)
	v := web.follow()
	for n, want := range []string{"start", "status", "change", "change"} {
		if kind, data := v.next(); kind != want {
			t.Fatalf("event %d is %s %s, want %s", n, kind, data, want)
		}
	}
	steps(t, a, step("during", 1), step("during", 5))
	c := v.until("a failure", func(c api.Change) bool { return len(c.Failures) > 0 })
	if f := c.Failures[0]; f.Session != "during" || f.StepID != 5 || f.Position != 2 || f.Reason != "out_of_order" || f.Outcome != "fail" {
		t.Errorf("the failure is %+v", f)
	}
	if c.Passed != 2 || c.Failed != 1 || c.Undecided != 0 || c.Uptime <= 0 {
		t.Errorf("the counters are %+v", c)
	}

	// Another viewer gets the state; a third is refused.
	other := web.follow()
	other.until("the state", func(c api.Change) bool { return has("before", session.Open)(c) && has("during", session.Open)(c) })
	if status, body := web.get("/api/v1/events"); status != http.StatusServiceUnavailable || !strings.Contains(body, "http.viewers") {
		t.Errorf("the third viewer gets %d %s", status, body)
	}
	if got := a.Status().HTTP.Viewers; got != 2 {
		t.Errorf("%d viewers, want 2", got)
	}

	// One that was away gets what it has missed, and no state.
	_ = v.reply.Body.Close()
	for name := range 10 {
		steps(t, a, step("finished", name+1))
	}
	other.until("the end", has("finished", session.Passed))
	again := web.follow("Last-Event-ID", v.last)
	again.until("what was missed", func(c api.Change) bool {
		if has("before", session.Open)(c) {
			t.Error("the whole state came again")
		}
		return has("finished", session.Passed)(c)
	})

	// A reload that changes nothing of HTTP disconnects no viewer.
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	steps(t, a, step("after", 1))
	again.until("a change after the reload", has("after", session.Open))
}

// TestEventsAtTheSocket: the admin socket has the events too, and an agent that stops ends them.
func TestEventsAtTheSocket(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "port = 0\n")
	a, err := daemon.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	v := atSocket(t, o, a).follow()
	steps(t, a, step("one", 1))
	v.until("the session", has("one", session.Open))
	if err := a.Stop(context.Background()); err != nil {
		t.Error(err)
	}
	for kind := "-"; kind != ""; {
		kind, _ = v.next()
	}
}

// TestReloadHTTP: the listener moves, gets other limits, goes and comes at a reload, and a config that
// cannot be in force changes nothing.
func TestReloadHTTP(t *testing.T) {
	t.Parallel()
	first := withHTTP(t, "127.0.0.1:0", "")
	o, file := options(t, first)
	a := start(t, o)
	address := a.Status().HTTP.Address
	v := overHTTP(t, a).follow()
	v.until("the first change", func(api.Change) bool { return true })
	reload := func(text, wrong string) {
		t.Helper()
		write(t, file, text)
		err := a.Reload(t.Context())
		if (wrong == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Fatalf("the reload: %v, want %q", err, wrong)
		}
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	reload(withHTTP(t, taken.Addr().String(), ""), "agent.toml:3:1: http.listen: port "+port+" is taken; see who has it with: ss -ltnp 'sport = :"+port+"'; or choose another with http.listen")
	reload("port = 0\n[http]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"/proc/none/token\"\n", "agent.toml:4:1: http.token_file: ")
	reload(first+"[[validators]]\nname = \"none\"\n", "validators[0].name")
	if got := a.Status().HTTP; got.Address != address || got.Viewers != 1 {
		t.Errorf("after refused reloads: %+v", got)
	}
	v.until("a change after refused reloads", func(api.Change) bool { return true })

	reload(first+"viewers = 1\n", "")
	if got := a.Status().HTTP; got.Address != address {
		t.Errorf("the address has changed: %+v", got)
	}
	for kind := "-"; kind != ""; {
		kind, _ = v.next() // the server of the old limits ends
	}
	overHTTP(t, a).get("/livez")

	reload(withHTTP(t, "127.0.0.2:0", ""), "")
	if got := a.Status().HTTP.Address; !strings.HasPrefix(got, "127.0.0.2:") {
		t.Errorf("the address is %s", got)
	}
	overHTTP(t, a).get("/livez")
	if conn, err := net.Dial("tcp", address); err == nil {
		_ = conn.Close()
		t.Error("the old address still accepts connections")
	}
	reload("port = 0\n", "")
	if got := a.Status().HTTP; got != (api.HTTP{}) {
		t.Errorf("switched off: %+v", got)
	}
	reload(first, "")
	overHTTP(t, a).get("/livez")
}

// TestStartWithoutHTTP: an agent whose HTTP listener cannot be opened serves its clients, says what is
// missing, and opens the listener when it can.
func TestStartWithoutHTTP(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o, _ := options(t, withHTTP(t, taken.Addr().String(), ""))
	a := start(t, o)
	steps(t, a, step("one", 1))
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	s := a.Status()
	if want := "agent.toml:3:1: http.listen: port " + port + " is taken; see who has it with"; !strings.Contains(s.HTTP.Trouble, want) ||
		s.HTTP.Address != "" || len(s.Trouble) != 1 || !strings.HasPrefix(s.Trouble[0], "HTTP is not served: ") {
		t.Errorf("%+v, trouble %q, want %q", s.HTTP, s.Trouble, want)
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); a.Status().HTTP.Address == ""; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the port is free: %+v", a.Status().HTTP)
		}
	}
	if s := a.Status(); len(s.Trouble) > 0 {
		t.Errorf("trouble: %q", s.Trouble)
	}
	overHTTP(t, a).get("/livez")
}
