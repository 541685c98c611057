package daemon_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/sequence"
)

const pluginArg = "serve-as-plugin"

// TestMain makes this test binary the bundled plugin when it is asked to.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == pluginArg {
		sdk.Serve(sdk.Plugin{Name: "bundled", Version: "1", Validators: []sdk.Validator{
			{Name: sequence.Name, Version: "1", New: sequence.New},
			{Name: mintimeout.Name, Version: "1", New: mintimeout.New},
		}})
		return
	}
	natstest.Main()
	soaktest.Parallel(6)
	goleak.VerifyTestMain(m)
}

// options returns those of an agent on a free loopback port, with the config in a file.
func options(t *testing.T, text string) (o daemon.Options, file string) {
	t.Helper()
	dir, err := daemon.TempRuntimeDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file = filepath.Join(t.TempDir(), "agent.toml")
	write(t, file, text)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return daemon.Options{
		Load: func() (*config.Loaded, error) {
			return config.Load(config.Sources{File: file, Set: map[string]string{"host": "127.0.0.1"}})
		},
		RuntimeDir: dir, Version: "test", Plugin: daemon.Plugin{Path: self, Argv0: self, Args: []string{pluginArg}},
		Log: slog.New(slog.DiscardHandler), Level: new(slog.LevelVar),
	}, file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, o daemon.Options) *daemon.Agent {
	t.Helper()
	a, err := daemon.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := a.Wait(); err != nil {
			t.Error(err)
		}
	})
	return a
}

// TestFailedStartLeavesNothing: a failed start releases everything that it has acquired.
func TestFailedStartLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	port := strings.TrimPrefix(taken.Addr().String(), "127.0.0.1:")
	for name, test := range map[string]struct{ config, want string }{
		"config":    {"prot = 1\n", "prot"},
		"port":      {"port = " + port + "\n", "port " + port + " is taken"},
		"validator": {"port = 0\n[[validators]]\nname = \"none\"\n", "validators[0].name"},
		"settings":  {"port = 0\n[[validators]]\nname = \"sequence\"\nsettings = { last = 0 }\n", "agent.toml:4:14: validators[0].settings.last"},
		"socket":    {"port = 0\n[admin]\nsocket = \"/proc/none/admin.sock\"\n", "admin socket"},
	} {
		t.Run(name, func(t *testing.T) {
			o, _ := options(t, test.config)
			a, err := daemon.Start(t.Context(), o)
			if err == nil {
				_ = a.Stop(t.Context())
				t.Fatal("the agent started")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q, want %q in it", err, test.want)
			}
			left, err := filepath.Glob(filepath.Join(o.RuntimeDir, "plugins", "*"))
			if err != nil || len(left) > 0 {
				t.Errorf("sockets are left: %v, %v", left, err)
			}
		})
	}
}

// TestAdminSocketOfAnother: an agent that runs keeps its socket; one that was left behind is
// replaced.
func TestAdminSocketOfAnother(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "admin.sock")
	text := "port = 0\n[admin]\nsocket = \"" + socket + "\"\n"
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket})
	if err != nil {
		t.Fatal(err)
	}
	left.SetUnlinkOnClose(false)
	if err := left.Close(); err != nil {
		t.Fatal(err)
	}
	o, _ := options(t, text)
	start(t, o)

	other, _ := options(t, text)
	if _, err := daemon.Start(t.Context(), other); err == nil || !strings.Contains(err.Error(), "belongs to another agent") {
		t.Errorf("the second agent: %v", err)
	}
	status, err := daemon.Query[api.Status](t.Context(), socket, daemon.StatusRequest)
	if err != nil || status.PID != os.Getpid() {
		t.Errorf("the first agent's status: %+v, %v", status, err)
	}
}

// TestAdminConnectionsEnd: a client that sends several requests over one connection, and never closes
// it, gets one reply, and the agent closes the connection.
func TestAdminConnectionsEnd(t *testing.T) {
	o, _ := options(t, "port = 0\n[admin]\nsocket = \""+filepath.Join(t.TempDir(), "admin.sock")+"\"\n")
	start(t, o)
	loaded, err := o.Load()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", loaded.Admin.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, strings.Repeat("GET /api/v1/status HTTP/1.1\r\nHost: agent\r\n\r\n", 2)); err != nil {
		t.Fatal(err)
	}
	answers, err := io.ReadAll(conn)
	if n := strings.Count(string(answers), "200 OK"); n != 1 || err != nil {
		t.Errorf("%d answers, %v, want one and the end", n, err)
	}
}

// TestReloadIsAllOrNothing: each way to fail leaves the config in force whole.
func TestReloadIsAllOrNothing(t *testing.T) {
	o, file := options(t, "port = 0\n")
	a := start(t, o)
	before := a.Status()
	for name, text := range map[string]string{
		"unknown key":    "prot = 1\n",
		"empty":          "",
		"not reloadable": "port = 1\n",
		"validator":      "port = 0\n[log]\nlevel = \"debug\"\n[[validators]]\nname = \"none\"\n",
		"settings":       "port = 0\n[[validators]]\nname = \"min_timeout\"\nsettings = { seconds = -1 }\n",
		"missing file":   "port = 0\n[[validators]]\nname = \"sequence\"\npath = \"/none\"\n",
	} {
		write(t, file, text)
		if err := a.Reload(t.Context()); err == nil {
			t.Errorf("%s: the reload succeeded", name)
		}
		now := a.Status()
		if now.Generation != before.Generation || now.Validators[0].PID != before.Validators[0].PID || now.Reload.Error == "" {
			t.Errorf("%s: something changed: %+v", name, now)
		}
	}
	if o.Level.Level() != slog.LevelInfo {
		t.Error("a refused config has set the log level")
	}

	write(t, file, "port = 0\n[log]\nlevel = \"debug\"\n")
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := a.Status()
	if now.Generation != before.Generation+1 || now.Validators[0].PID == before.Validators[0].PID ||
		now.Reload.Error != "" || o.Level.Level() != slog.LevelDebug {
		t.Errorf("after a good reload: %+v", now)
	}
}

// TestStopIsOnce: a stop may be asked for more than once, and a reload after it is refused.
func TestStopIsOnce(t *testing.T) {
	t.Parallel()
	o, _ := options(t, "port = 0\n")
	log := &lines{}
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	a := start(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := errors.Join(a.Stop(ctx), a.Stop(ctx), a.Wait()); err != nil {
		t.Error(err)
	}
	for range 20 {
		if err := a.Reload(ctx); err == nil {
			t.Error("a stopped agent reloaded")
		}
	}
	if _, after, _ := strings.Cut(log.String(), "agent stopped"); strings.Contains(after, "reload") {
		t.Errorf("a reload began after the stop:\n%s", after)
	}
}
