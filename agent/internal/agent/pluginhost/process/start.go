package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	goplugrunner "github.com/hashicorp/go-plugin/runner"

	"github.com/stepagent/stepagent/plugins/sdk"
)

// Start executes the program and returns the path of the plugin's socket, which is below sockets. When
// the context, which has a deadline, ends first, the process is killed. Diagnose says why it failed.
//
// go-plugin supplies the handshake. Its Client is used once for each start, without its Kill, which
// waits without a bound for a stopped process, and without its gRPC connection, which carries the
// plugin's output beside the verdicts.
func (p *Process) Start(ctx context.Context, sockets *SocketDir) (socket string, err error) {
	defer context.AfterFunc(ctx, p.Kill)()
	dir, err := sockets.Repair()
	if err != nil {
		return "", err
	}
	p.startTime = time.Now()
	deadline, _ := ctx.Deadline()
	address, err := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  sdk.Handshake(),
		VersionedPlugins: sdk.Versions(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (goplugrunner.Runner, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.dir = dir
			p.cmd.Env = append(append(environment(), p.cmd.Env...), cmd.Env...)
			return runner{p}, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: dir},
		SkipHostEnv:      true,
		StartTimeout:     2 * time.Until(deadline), // the context ends first, and says why
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
	}).Start()
	if err != nil {
		return "", err
	}
	if err := checkHandshake(p.config.Path, p.stdout.text()); err != nil {
		return "", err
	}
	socket = address.String()
	if !isSameDir(filepath.Dir(socket), p.socketDir()) {
		return "", fmt.Errorf("it listens on %.100s; its socket must be in the directory that PLUGIN_UNIX_SOCKET_DIR names", socket)
	}
	return socket, nil
}

// isSameDir compares directories: a plugin may have resolved links on the way to its own.
func isSameDir(a, b string) bool {
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	return errOne == nil && errOther == nil && os.SameFile(one, other)
}

// environment returns the part of the agent's environment that a plugin gets: what a script needs to
// find its interpreter and to print text, and the folder of the secrets that systemd has for the
// service (LoadCredential in systemd.exec(5)). Nothing else, as it may be secret.
func environment() []string {
	env := []string{}
	for _, key := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "CREDENTIALS_DIRECTORY"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}

// A runner gives go-plugin access to a process. Its Stdout ends after one line and its Stderr is
// empty: go-plugin would parse what plugins print, and panics on some lines.
type runner struct{ p *Process }

var _ goplugrunner.Runner = runner{}

func (r runner) Start(context.Context) error {
	err := r.p.start()
	if err != nil {
		_ = r.p.stdout.reader.Close() // there will be no line
	}
	return err
}

func (r runner) Wait(context.Context) error {
	<-r.p.exited
	return nil
}

func (r runner) Kill(context.Context) error {
	r.p.Kill()
	return nil
}

func (r runner) Stdout() io.ReadCloser           { return r.p.stdout.reader }
func (r runner) Stderr() io.ReadCloser           { return io.NopCloser(strings.NewReader("")) }
func (r runner) Name() string                    { return r.p.config.Path }
func (r runner) ID() string                      { return strconv.Itoa(r.p.PID()) }
func (r runner) Diagnose(context.Context) string { return "" }

func (r runner) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil // both are on one machine
}

func (r runner) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
