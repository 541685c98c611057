// Package pluginhost runs validators in processes of their own and keeps them running.
//
// A Host belongs to an agent and owns the directory of the plugins' sockets. It starts Sets:
// all validators of one config, as processes. Neighbours of one plugin share a process,
// which is a judge.Group. Each process has a supervisor, which starts another when it ends,
// hangs or breaks the contract, and which alone starts processes: judging a step never does.
//
// One process is made of three layers, each with a file of its own: process, which knows
// only the operating system; launch, which turns a program into a process that has described
// and configured itself; link, which carries steps and verdicts over one gRPC stream.
//
// go-plugin supplies the handshake. Its Client is used once for each start. Its Kill and its
// gRPC connection are not used: Kill waits without a bound for a stopped process, the
// connection has the plugin's output beside the verdicts and is left open when the process
// dies while it is being made.
package pluginhost

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"
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
	// SpareDirs are directories to go to, in this order, when SocketDir cannot be used or, after it
	// has been removed, not be made again.
	SpareDirs []string
	// Logger gets what the plugins print and what becomes of them.
	Logger *slog.Logger
	// Adopt makes this process the parent of what plugins leave behind when they end, so that
	// it can be ended too, and has it reap every child that ends. It is for a process that has one
	// Host and starts no other processes.
	Adopt bool

	// StartTimeout bounds a start, from the execution of the file to the end of Configure;
	// 10 s by default.
	StartTimeout time.Duration
	// StopTimeout is how long a process that is asked to end may take before it is killed;
	// 300 ms by default.
	StopTimeout time.Duration
	// BackoffMin and BackoffMax bound the wait before a start that follows others which did
	// not last; 100 ms and 30 s by default.
	BackoffMin time.Duration
	BackoffMax time.Duration
	// Lasting is how long a process must serve so that its end is followed by a start at
	// once, as if it were the first; 2 s by default.
	Lasting time.Duration
	// PingInterval is how often an idle process is asked whether it is well; 5 s by default.
	PingInterval time.Duration
	// PingTimeout is how long it may take to answer before it is killed; 400 ms by default.
	// A process that keeps a step waiting is asked without waiting for the interval.
	PingTimeout time.Duration
}

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		at   *time.Duration
		then time.Duration
	}{
		{&o.StartTimeout, 10 * time.Second},
		{&o.StopTimeout, 300 * time.Millisecond},
		{&o.BackoffMin, 100 * time.Millisecond},
		{&o.BackoffMax, 30 * time.Second},
		{&o.Lasting, 2 * time.Second},
		{&o.PingInterval, 5 * time.Second},
		{&o.PingTimeout, 400 * time.Millisecond},
	} {
		if *d.at == 0 {
			*d.at = d.then
		}
	}
	if o.SelfArgv0 == "" {
		o.SelfArgv0 = o.Self
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// A Host starts Sets. It is safe for concurrent use.
type Host struct {
	options Options
	sockets *socketDir
	family  *family
	sums    sums
}

// New prepares the directory for sockets and removes what agents that died left there.
func New(options Options) (*Host, error) {
	options = options.withDefaults()
	sockets, err := openAnySocketDir(append([]string{options.SocketDir}, options.SpareDirs...), options.Logger)
	if err != nil {
		return nil, err
	}
	return &Host{options: options, sockets: sockets, family: newFamily(options.Adopt, sockets.path, options.Logger)}, nil
}

// Start starts the processes of a set, all at once, and returns when every validator has
// taken its settings and judged one step, as a self-test. The order of the specs is that of the config. When anything is wrong
// it stops what it has started and returns everything that is wrong, as *SpecError joined
// in the order of the specs. It does not outlast the context or Options.StartTimeout by more
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
	set := &Set{}
	for _, s := range started {
		if s != nil {
			set.supervisors = append(set.supervisors, s)
		}
	}
	if err := errors.Join(problems...); err != nil {
		set.Close(context.Background()) // however little time the caller has left
		return nil, err
	}
	return set, nil
}

// Follow is Start for validators that are to follow those of another set while sessions are
// open: each must also take the state that its predecessor, the validator of the same name,
// leaves behind. The other set is not touched.
func (h *Host) Follow(ctx context.Context, old *Set, specs []Spec) (*Set, error) {
	set, err := h.Start(ctx, specs)
	if err != nil {
		return nil, err
	}
	if err := rehearse(ctx, old, set); err != nil {
		set.Close(context.Background())
		return nil, err
	}
	return set, nil
}

// Close removes the host's sockets. Close its sets first.
func (h *Host) Close() {
	h.family.close()
	if err := h.sockets.close(); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.options.Logger.Warn("could not remove the plugins' sockets; the next start will", "error", err)
	}
}
