package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
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

// Query sends a request to the agent behind the admin socket and returns the state of the agent. For a
// reload that was refused the error says why.
func Query(ctx context.Context, socket string, request Request) (Status, error) {
	method, path, _ := strings.Cut(string(request), " ")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, "http://stepagent"+path, nil)
	if err != nil {
		return Status{}, err
	}
	began := time.Now()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return Status{}, fmt.Errorf("the agent behind %s has not answered within %v; a reload may still be under way, see stepagent status",
			socket, time.Since(began).Round(time.Second))
	}
	if err != nil {
		return Status{}, unreachable(socket, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var r refusal
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			return Status{}, fmt.Errorf("the agent behind %s answered %s", socket, resp.Status)
		}
		return Status{}, errors.New(r.Error)
	}
	var status Status
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil {
		return Status{}, fmt.Errorf("the agent behind %s replied with no status: %w", socket, err)
	}
	return status, nil
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
