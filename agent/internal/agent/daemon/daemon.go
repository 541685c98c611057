// Package daemon is the agent as a whole: it reads the config, starts the validators, puts
// the floors below together, and takes them apart again.
//
// What can change while the agent runs is prepared whole beside what is in force, and put in
// force by switching pointers; when any part of it fails, everything stays as it was.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/systemd"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// Options are what an agent is made of. All but RuntimeDir, Adopt, Service and Lines are needed.
type Options struct {
	// Load reads the config: once at the start and once for each reload.
	Load func() (*config.Loaded, error)
	// RuntimeDir is the folder for sockets; empty for the first usable of RuntimeDirs.
	RuntimeDir string
	// Version is told to whoever asks for the status.
	Version string
	// Plugin is the command that serves the bundled validators.
	Plugin Plugin
	// Adopt is for an agent that has its process to itself: it ends whatever a plugin leaves
	// behind.
	Adopt bool
	// Service is the agent as a service of systemd, which is told what it does, and whose
	// sockets it takes instead of its own; nil for none.
	Service *systemd.Service
	// Log is where the agent logs; Level is its level, which the config sets.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Lines is the queue behind Log, for its counts; nil for none.
	Lines *logging.AsyncWriter
}

// A Plugin is the command that serves the bundled validators: as a rule this very
// executable.
type Plugin struct {
	Path  string
	Argv0 string
	Args  []string
}

// An Agent is a running agent. Its methods are safe for concurrent use.
type Agent struct {
	options   Options
	started   time.Time
	dirs      []string // for sockets
	listeners []net.Listener
	own       *listener // the one among them that systemd has not opened; nil for none
	loops     *eventloop.Loops
	host      *pluginhost.Host
	judge     *judge.Judge
	sessions  *session.Manager
	server    *server.Server
	admin     *admin
	unwatch   context.CancelFunc // ends the feeding of systemd's watchdog
	settled   *time.Timer        // gives memory back to the system
	serving   atomic.Bool        // everything above is there

	// reloading has one place, taken during a reload and a stop. A stop does not wait for it
	// long: it ends the context stopping, and with that a reload in progress.
	reloading chan struct{}
	stopping  context.Context
	beginStop context.CancelCauseFunc

	auto    *autoReloader
	retired sync.WaitGroup // sets that finish their last steps

	mu     sync.Mutex // guards the fields below
	config *config.Loaded
	set    *pluginhost.Set
	record *auditwriter.Writer // nil when it is off
	reload LastReload

	failed  chan error // what Serve returned
	stopped chan struct{}
}

// Start starts an agent and returns when it accepts connections, or waits for the address on
// which to. The context bounds the start only.
func Start(ctx context.Context, options Options) (*Agent, error) {
	a := &Agent{options: options, started: time.Now(), reloading: make(chan struct{}, 1), stopped: make(chan struct{}),
		settled: time.AfterFunc(math.MaxInt64, debug.FreeOSMemory)}
	a.stopping, a.beginStop = context.WithCancelCause(context.Background())
	a.auto = &autoReloader{log: options.Log, reload: a.reloadIf}
	if err := a.start(ctx); err != nil {
		a.takeDown(ctx)
		return nil, err
	}
	return a, nil
}

func (a *Agent) start(ctx context.Context) error {
	c, err := a.options.Load()
	if err != nil {
		return err
	}
	a.options.Level.Set(level(c))
	a.dirs = runtimeDirs(a.options)
	if a.listeners, a.own, err = listen(ctx, c, a.options.Service, a.options.Log, a.tellService); err != nil {
		return err
	}
	place, err := newAdminPlace(c, a.dirs, a.Addr())
	if err != nil {
		return err
	}
	if a.loops, err = eventloop.New(eventloop.DefaultCount()); err != nil {
		return err
	}
	if a.host, err = newHost(a.options); err != nil {
		return err
	}
	if a.set, err = startValidators(ctx, a.host, c, nil); err != nil {
		return err
	}
	if a.record, err = openRecord(c, a.recordHead(), a.options.Log); err != nil {
		return err
	}
	a.config = c
	a.judge = judge.New(newChain(1, c, a.set))
	a.sessions = session.NewManager(a.judge, sessionOptions(c, a.record), a.options.Log)
	a.server = server.New(a.sessions, a.loops, serverOptions(c, a.options.Version, a.record), a.options.Log)
	if a.admin, err = startAdmin(a, place); err != nil {
		return err
	}
	a.options.Log.Info("agent started", slog.String("address", a.addresses()),
		slog.String("version", a.options.Version), slog.String("config", source(c)),
		slog.String("validators", names(c)), slog.String("admin", a.admin.path()))
	if c.AllowFaults {
		a.options.Log.Warn("faults are allowed: validators may make this agent misbehave")
	}
	a.failed = make(chan error, len(a.listeners))
	for _, listener := range a.listeners {
		go func() { a.failed <- a.server.Serve(listener) }()
	}
	a.auto.watch(c.Reload, a.started, c)
	a.serving.Store(true)
	a.ready()
	watching, unwatch := context.WithCancel(context.Background())
	a.unwatch = unwatch
	go feedWatchdog(watching, a.options.Service, a.server.Probe, a.summary, a.options.Log)
	return nil
}

// settledTime is how long after a start or a reload what either has begun beside the work, such as
// the checksums of programs, is done.
const settledTime = 200 * time.Millisecond

// ready tells the service manager that the config is in force. What a start needs and the work does
// not, which is most of the memory, goes back to the system a moment later.
func (a *Agent) ready() {
	a.options.Service.Ready(a.summary())
	a.settled.Reset(settledTime)
}

// tellService tells the service manager what the agent does, where that has changed.
func (a *Agent) tellService() {
	if a.serving.Load() && a.stopping.Err() == nil {
		a.options.Service.Status(a.summary())
	}
}

// Addr is the address that the agent listens on or waits for; the first one where systemd has
// opened several.
func (a *Agent) Addr() net.Addr { return a.listeners[0].Addr() }

// Wait returns when the agent has been stopped, or has failed: then with the cause. It is
// for one caller.
func (a *Agent) Wait() error {
	select {
	case err := <-a.failed:
		if err != nil {
			return err
		}
		<-a.stopped
		return nil
	case <-a.stopped:
		return nil
	}
}

// Stop stops the agent: no new connections, an answer for each step in flight within the
// config's grace time, then everything is closed, the validators last. When the context ends
// first, the rest goes by force. The error says that something had to. A reload in progress
// is given up, and nothing of it stays.
func (a *Agent) Stop(ctx context.Context) error {
	a.beginStop(errStops)
	a.reloading <- struct{}{}
	defer func() { <-a.reloading }()
	select {
	case <-a.stopped:
		return nil
	default:
	}
	defer close(a.stopped)
	began := time.Now()
	grace, cancel := context.WithTimeoutCause(ctx, a.current().Stop.Grace, errors.New("the grace time is over"))
	defer cancel()
	a.options.Log.Info("agent stops", slog.Duration("grace", a.current().Stop.Grace))
	a.unwatch()
	a.options.Service.Stopping("stopping: steps in flight get their reply", a.current().Stop.Grace+stopMargin)
	err := a.server.Shutdown(grace)
	if err != nil {
		err = fmt.Errorf("connections were closed by force: %w", err)
		a.options.Log.Warn(err.Error())
	}
	a.sessions.Close()
	a.takeDown(ctx)
	a.options.Log.Info("agent stopped", slog.Duration("took", time.Since(began).Round(time.Millisecond)))
	return err
}

// stopMargin is how long a stop may take beyond the grace time: what is closed by force, and
// plugins that do not end by themselves.
const stopMargin = 10 * time.Second

// takeDown releases whatever a start has got hold of.
func (a *Agent) takeDown(ctx context.Context) {
	a.settled.Stop()
	a.auto.watch(config.Reload{}, time.Time{})
	if a.admin != nil {
		a.admin.close()
	}
	for _, listener := range a.listeners {
		_ = listener.Close() // closed already in a stop
	}
	if a.set != nil {
		a.set.Close(ctx)
	}
	a.retired.Wait()
	a.auto.done.Wait()
	closeRecord(a.record)
	if a.host != nil {
		a.host.Close()
	}
	if a.loops != nil {
		a.loops.Close()
	}
}

func (a *Agent) current() *config.Loaded {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

func newHost(o Options) (*pluginhost.Host, error) {
	dirs := runtimeDirs(o)
	if _, err := usable(dirs); err != nil {
		return nil, err
	}
	var sockets []string
	for _, dir := range dirs {
		sockets = append(sockets, filepath.Join(dir, "plugins"))
	}
	host, err := pluginhost.New(pluginhost.Options{
		Self: o.Plugin.Path, SelfArgv0: o.Plugin.Argv0, SelfArgs: o.Plugin.Args,
		SocketDir: sockets[0], SpareDirs: sockets[1:], Logger: o.Log, Adopt: o.Adopt,
	})
	if err != nil {
		return nil, fmt.Errorf("%w; name another folder for sockets with the variable %s", err, runtimeDirVariable)
	}
	return host, nil
}

// runtimeDirs returns the folders for sockets, the first that is usable to be taken.
func runtimeDirs(o Options) []string {
	if o.RuntimeDir != "" {
		return []string{o.RuntimeDir}
	}
	return RuntimeDirs()
}

func names(c *config.Loaded) string {
	var list []string
	for _, v := range c.Validators {
		list = append(list, v.As)
	}
	return strings.Join(slices.Compact(list), ",")
}
