package pluginhost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/process"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/program"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
	"github.com/stepagent/stepagent/plugins/validator"
)

// A plugin is what the processes that follow one another for some validators have in common.
type plugin struct {
	members []member
	program *program.Program
	lines   *rate.Limiter // of what its processes print
}

// openPlugin opens the program of the members, which share it.
func openPlugin(o Options, members []member) (*plugin, error) {
	first, path := members[0], o.Self
	if first.Path != "" {
		resolved, err := program.Resolve(first.Path)
		if err != nil {
			return nil, first.wrong("path", "%v", err)
		}
		path = resolved
	}
	opened, err := program.Open(path, first.Checksum)
	if err != nil {
		return nil, first.wrong("checksum", "%v", err)
	}
	return &plugin{members: members, program: opened, lines: process.NewLineLimit()}, nil
}

// launch starts a process for the plugin and returns when it is ready to judge. Its errors are
// *SpecError, joined.
func (h *Host) launch(ctx context.Context, p *plugin) (*instance, error) {
	if first := p.members[0]; first.Path != "" && p.program.Sealed == nil {
		if err := p.program.Recheck(first.Path); err != nil {
			return nil, first.wrong("path", "%v", err)
		}
	}
	in := h.newInstance(p)
	err := h.starting(ctx, p, in, func(ctx context.Context) error {
		err := in.configure(ctx, p.members)
		if err == nil {
			err = in.openStream(ctx, h.options, p.members)
		}
		if err == nil {
			err = in.selfTest(ctx, p.members)
		}
		return err
	})
	if err != nil {
		in.stop(0)
		return nil, err
	}
	in.ready = time.Now()
	return in, nil
}

func (h *Host) newInstance(p *plugin) *instance {
	first := p.members[0]
	return &instance{
		image: p.program.Image(), // before the start: the file may be another one after it
		process: process.New(process.Config{
			Cmd: command(h.options, first.Spec, p.program), Path: p.program.Path, Label: first.label(), Limits: first.Limits,
			Logger: h.options.Logger.With("plugin", first.label()), Lines: p.lines, Hide: first.Hide,
			Reaper: h.reaper,
		}),
	}
}

// starting starts the process, connects to it and calls then, all within StartTimeout. It returns every
// error as *SpecError that says what to do.
func (h *Host) starting(ctx context.Context, p *plugin, in *instance, then func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.options.StartTimeout,
		fmt.Errorf("more than %v have passed", h.options.StartTimeout))
	defer cancel()
	socket, err := in.process.Start(ctx, h.sockets)
	if err == nil {
		in.conn, err = stream.Dial(socket)
	}
	if err == nil {
		err = then(ctx)
	}
	if wrong := (*SpecError)(nil); err == nil || errors.As(err, &wrong) {
		return err
	}
	key := ""
	if p.members[0].Path != "" {
		key = "path"
	}
	return p.members[0].wrong(key, "%v", in.process.Diagnose(ctx, err))
}

// command returns how the program is executed: a sealed copy by its descriptor, which the plugin, and
// the interpreter of a script, has as its first after stderr. Its argv[0] is the path in the config: a
// program of several names behaves by the link that it was started through.
func command(o Options, s Spec, p *program.Program) *exec.Cmd {
	if s.Path == "" {
		// As many processors as the agent, from the start: to give some back later takes memory and time.
		return &exec.Cmd{Path: p.Path, Args: append([]string{o.SelfArgv0}, o.SelfArgs...),
			Env: []string{"GOMAXPROCS=" + strconv.Itoa(runtime.GOMAXPROCS(0))}}
	}
	cmd := &exec.Cmd{Path: p.Path, Args: append([]string{s.Path}, s.Args...)}
	if p.Sealed != nil {
		cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{p.Sealed}
	}
	if p.Script {
		// Python looks for modules beside the script, where the copy is not.
		cmd.Env = append(cmd.Env, "PYTHONPATH="+filepath.Dir(p.Path))
	}
	return cmd
}

// configure asks the plugin what it is and gives each validator its settings.
func (in *instance) configure(ctx context.Context, members []member) error {
	about, err := in.conn.Describe(ctx)
	if err != nil {
		return err
	}
	in.name, in.version = about.Name, about.Version
	var request []*stream.Instance
	var wrong []error
	for _, m := range members {
		if !slices.ContainsFunc(about.Validators, func(o stream.Offer) bool { return o.Name == m.Validator }) {
			wrong = append(wrong, m.wrong("validator", "plugin %s has no validator %q; it has %s",
				in.name, m.Validator, names(about)))
		}
		request = append(request, &stream.Instance{Name: m.Name, Validator: m.Validator, SettingsJson: m.Settings})
	}
	if len(wrong) > 0 {
		return errors.Join(wrong...)
	}
	configured, err := in.conn.Configure(ctx, request)
	if err != nil {
		return err
	}
	in.declared = true
	for i, c := range configured {
		for _, p := range c.Problems {
			key := "settings"
			if p.Key != "" {
				key += "." + p.Key
			}
			wrong = append(wrong, members[i].wrong(key, "%s", p.Text))
		}
		in.first = append(in.first, c.First)
		in.reads, in.declared = in.reads|c.Reads, in.declared && c.Declared
	}
	return errors.Join(wrong...)
}

// maxListedNames is how many validators an error lists where one is missing.
const maxListedNames = 50

func names(about stream.About) string {
	var all []string
	for _, v := range about.Validators {
		if len(all) == maxListedNames {
			all = append(all, "...")
			break
		}
		all = append(all, stream.Shorten(v.Name, stream.MaxNameBytes))
	}
	return cmp.Or(strings.Join(all, ", "), "none")
}

// openStream opens the stream for steps.
func (in *instance) openStream(ctx context.Context, o Options, members []member) (err error) {
	sent := in.reads
	if members[0].SendAll {
		sent = validator.AllInputs
	}
	in.stream, err = in.conn.Open(ctx, stream.Options{Instances: len(members), Reads: sent,
		PingInterval: o.PingInterval, PingTimeout: o.PingTimeout})
	return err
}
