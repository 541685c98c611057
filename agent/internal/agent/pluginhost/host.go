// Package pluginhost runs validators in plugin processes and keeps them running.
//
// A Host belongs to an agent and starts Sets: all validators of one config. Neighbours of one plugin
// share a process and are a judge.Group. Each process has a supervisor, which starts another process
// when it ends, hangs or breaks the contract; judging a step never starts one. The supervisor backs off
// while processes fail, and refuses steps when too many have failed in a row. Package process runs the
// program, package stream carries its steps and verdicts, package program is the file it is executed from.
package pluginhost

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/process"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/program"
)

// Options say how plugins are run. Durations of 0 mean the default.
type Options struct {
	// Self is the path of the agent's own executable, which holds the bundled validators.
	Self string
	// SelfArgv0 is what the bundled plugin finds as its own name; Self when empty.
	SelfArgv0 string
	// SelfArgs are the arguments with which the executable is the bundled plugin.
	SelfArgs []string
	// SocketDir is the directory below which sockets go. It is made when it is missing; one
	// that is there must be the user's own with mode 0700. Several agents may share it.
	SocketDir string
	// SpareDirs are used, in this order, when SocketDir cannot be used or cannot be made again.
	SpareDirs []string
	// Logger gets what the plugins print and what becomes of them.
	Logger *slog.Logger
	// Adopt makes this process the parent of what plugins leave behind when they end, so that it can
	// be killed, and reaps every child that ends. Only one Host in a process may set it, and the
	// process must start no other processes.
	Adopt bool

	// StartTimeout bounds a start, from the execution of the file to the end of the self-test;
	// 10 s by default.
	StartTimeout time.Duration
	// StopTimeout is how long a process that is asked to end may take before it is killed;
	// 300 ms by default.
	StopTimeout time.Duration
	// BackoffMin and BackoffMax bound the wait before a start that follows others which did
	// not last; 100 ms and 30 s by default.
	BackoffMin time.Duration
	BackoffMax time.Duration
	// Lasting is how long a process must serve so that the next one is started at once, as if it were
	// the first; 2 s by default.
	Lasting time.Duration
	// PingInterval is how often an idle process is pinged; 5 s by default.
	PingInterval time.Duration
	// PingTimeout is how long it may take to answer before it is killed; 400 ms by default.
	// A process that keeps a step waiting is pinged without waiting for the interval.
	PingTimeout time.Duration
}

func (o Options) withDefaults() Options {
	o.StartTimeout = cmp.Or(o.StartTimeout, 10*time.Second)
	o.StopTimeout = cmp.Or(o.StopTimeout, 300*time.Millisecond)
	o.BackoffMin = cmp.Or(o.BackoffMin, 100*time.Millisecond)
	o.BackoffMax = cmp.Or(o.BackoffMax, 30*time.Second)
	o.Lasting = cmp.Or(o.Lasting, 2*time.Second)
	o.PingInterval = cmp.Or(o.PingInterval, 5*time.Second)
	o.PingTimeout = cmp.Or(o.PingTimeout, 400*time.Millisecond)
	o.SelfArgv0 = cmp.Or(o.SelfArgv0, o.Self)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Host starts Sets. It is safe for concurrent use.
type Host struct {
	options   Options
	sockets   *process.SocketDir
	reaper    *process.Reaper
	checksums *program.Checksums
}

// New prepares the directory for sockets and removes what agents that died left there.
func New(options Options) (*Host, error) {
	options = options.withDefaults()
	sockets, err := process.OpenSocketDir(append([]string{options.SocketDir}, options.SpareDirs...), options.Logger)
	if err != nil {
		return nil, err
	}
	return &Host{options: options, sockets: sockets, checksums: &program.Checksums{},
		reaper: process.NewReaper(options.Adopt, sockets.Path(), options.Logger)}, nil
}

// Start starts the processes of a set, all at once, and returns when every validator has accepted its
// settings and judged one step, as a self-test. The order of the specs is that of the config. When
// anything is wrong it stops what it has started and returns everything that is wrong, as *SpecError
// joined in the order of the specs. It does not outlast the context or Options.StartTimeout by more
// than the time to stop.
func (h *Host) Start(ctx context.Context, specs []Spec) (*Set, error) {
	if err := checkSpecs(specs); err != nil {
		return nil, err
	}
	all := neighbours(specs)
	started := make([]*supervisor, len(all))
	problems := make([]error, len(all))
	var starting sync.WaitGroup
	for i, members := range all {
		starting.Go(func() { started[i], problems[i] = supervise(ctx, h, members, members[0].Cache.Bytes/len(all)) })
	}
	starting.Wait()
	set := &Set{slices.DeleteFunc(started, func(s *supervisor) bool { return s == nil })}
	if err := errors.Join(problems...); err != nil {
		set.Close(context.Background()) // even when the caller's context has ended
		return nil, err
	}
	return set, nil
}

// Follow is Start for validators that replace those of another set while sessions are open: each must
// also accept the state of its predecessor, the validator of the same name. The other set keeps running.
func (h *Host) Follow(ctx context.Context, old *Set, specs []Spec) (*Set, error) {
	set, err := h.Start(ctx, specs)
	if err != nil {
		return nil, err
	}
	if err := trialReload(ctx, old, set); err != nil {
		set.Close(context.Background())
		return nil, err
	}
	return set, nil
}

// Close removes the host's sockets. Close its sets first.
func (h *Host) Close() {
	h.reaper.Close()
	if err := h.sockets.Close(); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.options.Logger.Warn("could not remove the plugins' sockets; the next start will", "error", err)
	}
}

// maxClose bounds Set.Close.
const maxClose = time.Second

// A Set is the validators of one config, running. It is safe for concurrent use.
type Set struct {
	supervisors []*supervisor
}

// Groups returns the groups in the config's order.
func (s *Set) Groups() []judge.Group {
	groups := make([]judge.Group, len(s.supervisors))
	for i, v := range s.supervisors {
		groups[i] = v.cache
	}
	return groups
}

// Close ends every process, first by asking, then by SIGKILL to its process group. It returns when all
// have ended, when the context ends, or after one second: a process that the kernel cannot end at once
// is left to it. Steps that are still being judged get an error. A second call waits in the same way
// and does nothing else.
func (s *Set) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxClose)
	defer cancel()
	for _, v := range s.supervisors {
		v.cancel()
	}
	for _, v := range s.supervisors {
		select {
		case <-v.done:
		case <-ctx.Done():
			return
		}
	}
}
