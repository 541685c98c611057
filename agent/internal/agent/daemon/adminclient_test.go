package daemon_test

import (
	"context"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
)

// TestQuerySlowAgent: the error does not say that no agent runs.
func TestQuerySlowAgent(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "port = 1\n")
	socket := filepath.Join(o.RuntimeDir, "slow.sock")
	listener, err := net.Listen("unix", socket) // accepts connections and never replies
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = daemon.Query[api.Status](ctx, socket, daemon.ReloadRequest)
	said := regexp.MustCompile(`slow\.sock has not answered within \d+s; a reload may still be under way`) // 0s unless the machine is busy
	if err == nil || !said.MatchString(err.Error()) {
		t.Errorf("error %v", err)
	}
}

// TestStaleSockets: the socket of an agent that was killed is not listed.
func TestStaleSockets(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "port = 1\n")
	listen := func(name string) *net.UnixListener {
		listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(o.RuntimeDir, name), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	killed, alive := listen("admin-1.sock"), listen("admin-2.sock")
	killed.SetUnlinkOnClose(false)
	if err := killed.Close(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alive.Close() }()
	there := filepath.Join(o.RuntimeDir, "admin-2.sock")
	if got := daemon.AdminSockets(o.RuntimeDir); !slices.Equal(got, []string{there}) {
		t.Errorf("got %q, want %q", got, there)
	}
	_, err := daemon.Query[api.Status](t.Context(), filepath.Join(o.RuntimeDir, "admin-1.sock"), daemon.StatusRequest)
	if want := "; there is " + there + "; name one"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
}
