package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

// AdminSocket returns the path of the admin socket of an agent that has the config and listens on
// the port.
func AdminSocket(c *config.Loaded, runtimeDir string, port int) string {
	if c.Admin.Socket != "" {
		return c.Admin.Socket
	}
	return filepath.Join(runtimeDir, socketName(port))
}

func socketName(port int) string { return fmt.Sprintf("admin-%d.sock", port) }

// AdminSockets returns the admin sockets in the runtime directory, and the links to sockets with
// another path. It leaves out stale ones, left by agents that were killed.
func AdminSockets(runtimeDir string) []string {
	sockets, _ := filepath.Glob(filepath.Join(runtimeDir, "admin-*.sock")) // the pattern is sound
	return slices.DeleteFunc(sockets, isStale)
}

// isStale reports whether no agent listens on a socket any more.
func isStale(socket string) bool {
	err := answers(socket)
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist)
}

func adminSocket(c *config.Loaded, runtimeDir string, addr net.Addr) string {
	port := c.Port
	if tcp, ok := addr.(*net.TCPAddr); ok {
		port = tcp.Port
	}
	return AdminSocket(c, runtimeDir, port)
}

// A Request is a request of the admin socket: its method and its path.
type Request string

// The requests without a name in them.
const (
	StatusRequest     Request = "GET " + api.Prefix + "/status"
	ValidatorsRequest Request = "GET " + api.Prefix + "/validators"
	ReloadRequest     Request = "POST " + api.Prefix + "/reload" // its reply comes after the reload
	LiveRequest       Request = "GET " + api.LivePath
	ReadyRequest      Request = "GET " + api.ReadyPath
)

// SessionsRequest asks for at most limit sessions whose id, client or identity contains the filter.
func SessionsRequest(filter string, limit int) Request {
	return Request("GET " + api.Prefix + "/sessions?" + url.Values{"filter": {filter}, "limit": {strconv.Itoa(limit)}}.Encode())
}

// SessionRequest asks for one session.
func SessionRequest(name string) Request { return Request("GET " + sessionPath(name)) }

// EndRequest ends a session.
func EndRequest(name string) Request { return Request("POST " + sessionPath(name) + "/end") }

// sessionPath escapes a name, also one such as "..", which is not a step up in the path.
func sessionPath(name string) string {
	return api.Prefix + "/sessions/" + strings.ReplaceAll(url.PathEscape(name), ".", "%2E")
}

// Query sends a request to the agent behind the admin socket and returns the reply. For a request that
// was refused the error says why.
func Query[T any](ctx context.Context, socket string, request Request) (reply T, err error) {
	body, err := Send(ctx, socket, request)
	if err != nil {
		return reply, err
	}
	if err := json.Unmarshal(body, &reply); err != nil {
		return reply, fmt.Errorf("the agent behind %s replied with something else: %w", socket, err)
	}
	return reply, nil
}

// Send is Query, but returns the body of the reply.
func Send(ctx context.Context, socket string, request Request) ([]byte, error) {
	method, path, _ := strings.Cut(string(request), " ")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://stepagent"+path, nil)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err == nil {
		defer func() { _ = resp.Body.Close() }()
		var body []byte
		if body, err = io.ReadAll(resp.Body); err == nil {
			return body, refusal(resp, body)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("the agent behind %s has not answered within %v; a reload may still be under way, see stepagent status",
			socket, time.Since(began).Round(time.Second))
	}
	return nil, unreachable(socket, err)
}

// refusal returns why the agent has refused a request; nil if it has not.
func refusal(resp *http.Response, body []byte) error {
	if resp.StatusCode < http.StatusMultipleChoices {
		return nil
	}
	var why problem.Details
	if resp.Header.Get("Content-Type") != problem.ContentType || json.Unmarshal(body, &why) != nil {
		return fmt.Errorf("the agent answered %s; it may be of another version", resp.Status)
	}
	return why
}

// unreachable returns why no agent answered, and lists the agents that run.
func unreachable(socket string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("no right to use the admin socket %s; try as root or as the agent's user, or see admin.group in the config", socket)
	}
	hint := "is an agent running?"
	others := slices.DeleteFunc(AdminSockets(filepath.Dir(socket)), func(other string) bool { return other == socket })
	if len(others) > 0 {
		hint = "there is " + strings.Join(others, ", ") + "; name one with --admin-socket, or its agent's port with --port"
	}
	return fmt.Errorf("no agent answers on %s; %s", socket, hint)
}
