package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	goplugrunner "github.com/hashicorp/go-plugin/runner"

	"github.com/stepagent/stepagent/plugins/sdk"
)

// A launching is an instance on its way, with what tells why it does not get there.
type launching struct {
	instance
	handshake *handshake
	stderr    *lineLog
	members   []member
}

// launch starts a process for the members and returns when it is ready to judge. Its errors
// are *SpecError, joined.
func launch(ctx context.Context, h *Host, members []member, p *program) (*instance, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.StartTimeout,
		fmt.Errorf("more than %v have passed", h.options.StartTimeout))
	defer cancel()
	first := members[0]
	if first.Path != "" && p.sealed == nil {
		if err := p.check(first.Path); err != nil {
			return nil, first.wrong("path", "%v", err)
		}
	}
	l := newLaunching(h, members, p)
	file := p.open() // before it is executed: it may be another one after that
	if file != nil {
		l.file, _ = identify(file) // zero with an error
	}
	address, err := l.start(ctx, h)
	if err == nil {
		err = l.dial(address)
	}
	if err == nil {
		err = l.describe(ctx)
	}
	if err == nil {
		err = l.open(ctx, h.options)
	}
	if err == nil {
		err = l.selfTest(ctx)
	}
	if err == nil {
		l.ready, l.sealedSum = time.Now(), p.sum
		if file != nil {
			l.sum = h.sums.begin(file)
		}
		return &l.instance, nil
	}
	if file != nil {
		_ = file.Close() // read only
	}
	err = l.failed(ctx, err)
	l.stop(0)
	return nil, err
}

// failed makes a *SpecError of why a start did not succeed.
func (l *launching) failed(ctx context.Context, err error) error {
	var wrong *SpecError
	if errors.As(err, &wrong) {
		return err
	}
	key := ""
	if l.members[0].Path != "" {
		key = "path"
	}
	return l.members[0].wrong(key, "%v", l.diagnose(ctx, err))
}

// load opens the program of the members, a copy of it where the config has a checksum.
func load(h *Host, members []member) (*program, error) {
	first := members[0]
	if first.Path == "" {
		return openProgram(h.options.Self, "")
	}
	path, err := resolveProgram(first.Path)
	if err != nil {
		return nil, first.wrong("path", "%v", err)
	}
	p, err := openProgram(path, first.Checksum)
	if err != nil {
		return nil, first.wrong("checksum", "%v", err)
	}
	return p, nil
}

func newLaunching(h *Host, members []member, p *program) *launching {
	first := members[0]
	logger := h.options.Logger.With("plugin", first.label())
	l := &launching{members: members, stderr: newLineLog(logger, "stderr", p.lines)}
	l.path = p.path
	l.handshake = newHandshake(newLineLog(logger, "stdout", p.lines))
	l.process = newProcess(command(h.options, first.Spec, p), first.Limits.rlimits(), h.family, l.handshake, l.stderr)
	l.process.label = first.label()
	l.process.guarded = first.Limits.Processes
	return l
}

// command is how the program is executed: the sealed copy by its descriptor, which the
// plugin, and the interpreter of a script, has as its first after stderr. Its name is that of the
// config: a program of several names goes by the link that it was started through.
func command(o Options, s Spec, p *program) *exec.Cmd {
	if s.Path == "" {
		return &exec.Cmd{Path: p.path, Args: append([]string{o.SelfArgv0}, o.SelfArgs...)}
	}
	cmd := &exec.Cmd{Path: p.path, Args: append([]string{s.Path}, s.Args...)}
	if p.sealed != nil {
		cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{p.sealed}
	}
	if p.script {
		// Python looks for modules beside the script, where the copy is not.
		cmd.Env = append(cmd.Env, "PYTHONPATH="+filepath.Dir(p.path))
	}
	return cmd
}

// label names a plugin that has not said its name yet.
func (s Spec) label() string {
	if s.Path == "" {
		return "bundled"
	}
	return filepath.Base(s.Path)
}

// start executes the program and waits for its handshake. It returns the plugin's socket.
func (l *launching) start(ctx context.Context, h *Host) (string, error) {
	release := context.AfterFunc(ctx, l.process.kill)
	defer release()
	sockets, err := h.sockets.mend()
	if err != nil {
		return "", err
	}
	l.started = time.Now()
	address, err := goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  sdk.Handshake(),
		VersionedPlugins: sdk.Versions(),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, dir string) (goplugrunner.Runner, error) {
			l.dir = dir
			l.process.cmd.Env = append(append(environment(), l.process.cmd.Env...), cmd.Env...)
			return &runner{process: l.process, stdout: l.handshake, path: l.path}, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: sockets},
		SkipHostEnv:      true,
		StartTimeout:     2 * h.options.StartTimeout, // the context ends first, and says why
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
	}).Start()
	if err != nil {
		return "", err
	}
	if wrong := wrongHandshake(l.path, l.handshake.text()); wrong != nil {
		return "", wrong
	}
	socket := address.String()
	if !isSameDir(filepath.Dir(socket), l.dir) {
		return "", fmt.Errorf("it listens on %s; its socket must be in the directory that PLUGIN_UNIX_SOCKET_DIR names",
			brief(socket, maxSocketPath))
	}
	return socket, nil
}

// isSameDir compares directories, as a plugin may have resolved links on the way to its own.
func isSameDir(a, b string) bool {
	one, errOne := os.Stat(a)
	other, errOther := os.Stat(b)
	return errOne == nil && errOther == nil && os.SameFile(one, other)
}

// environment is what a plugin sees of the agent's own. It has what a script needs to find
// its interpreter and to print text, the folder of the secrets that systemd has for the
// service (LoadCredential in systemd.exec(5)), and nothing that might be secret itself.
func environment() []string {
	env := []string{}
	for _, key := range []string{"PATH", "HOME", "LANG", "LC_ALL", "TZ", "CREDENTIALS_DIRECTORY"} {
		if value, ok := os.LookupEnv(key); ok {
			env = append(env, key+"="+value)
		}
	}
	return env
}
