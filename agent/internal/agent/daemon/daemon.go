// Package daemon is the agent as a whole: it reads the config, starts the validators, connects the
// packages of the lower floors and stops them again.
//
// A reload prepares everything new beside what is in force, then switches pointers. When any part
// fails, nothing changes.
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

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
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
	// Version is shown in the status.
	Version string
	// Plugin is the command that serves the bundled validators.
	Plugin Plugin
	// Adopt makes the agent end processes that a plugin leaves behind. It is for an agent that has
	// its process to itself.
	Adopt bool
	// Service is the systemd service, which receives the agent's state and whose sockets replace
	// the agent's own; nil for none.
	Service *systemd.Service
	// Log is where the agent logs; Level is its level, which the config sets.
	Log   *slog.Logger
	Level *slog.LevelVar
	// Lines is the queue behind Log, for its counts; nil for none.
	Lines *logging.AsyncWriter
}

// A Plugin is the command that serves the bundled validators, normally this executable.
type Plugin struct {
	Path  string
	Argv0 string
	Args  []string
}

// An Agent is a running agent. Its methods are safe for concurrent use.
type Agent struct {
	options    Options
	started    time.Time
	dirs       []string // for sockets
	listeners  []bound
	loops      *eventloop.Loops
	host       *pluginhost.Host
	judge      *judge.Judge
	store      sessionstore.Store // of the sessions; nil when they survive nothing
	sessions   *session.Manager
	server     *server.Server
	totals     *totals
	fleet      *fleet
	observers  *observers
	admin      *admin
	unwatch    context.CancelFunc // stops feeding systemd's watchdog
	freeMemory *time.Timer        // returns unused memory to the system
	serving    atomic.Bool        // the fields above are set

	// reloading is a semaphore of one slot, held during a reload and a stop. A stop cancels the
	// context stopping, which ends a reload in progress.
	reloading chan struct{}
	stopping  context.Context
	beginStop context.CancelCauseFunc

	auto         *autoReloader // of the config
	certificates *certificates
	certFiles    *autoReloader  // of the certificates
	retired      sync.WaitGroup // sets that judge their last steps

	mu     sync.Mutex // guards the fields below
	config *config.Loaded
	set    *pluginhost.Set
	record *auditwriter.Writer // nil when it is off
	reload api.LastReload

	failed  chan error // what Serve returned
	stopped chan struct{}
}

// Start starts an agent. It returns when the agent accepts connections or waits for its address.
// The context bounds the start only.
func Start(ctx context.Context, options Options) (*Agent, error) {
	a := &Agent{options: options, started: time.Now(), reloading: make(chan struct{}, 1), stopped: make(chan struct{}),
		freeMemory: time.AfterFunc(math.MaxInt64, debug.FreeOSMemory)}
	a.stopping, a.beginStop = context.WithCancelCause(context.Background())
	a.auto = &autoReloader{log: options.Log, what: "the config is", reload: a.reloadIf}
	a.certificates = &certificates{log: options.Log}
	a.fleet = &fleet{agent: a}
	a.certFiles = &autoReloader{log: options.Log, what: "the certificates are", reload: a.reloadCertificates}
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.release(ctx))
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
	set, err := loadCertificates(c)
	if err != nil {
		return err
	}
	a.certificates.put(set)
	if a.listeners, err = listen(ctx, c, a.options.Service, a.options.Log, a.updateService); err != nil {
		return err
	}
	place, err := newAdminOptions(c, a.dirs, a.Addr())
	if err != nil {
		return err
	}
	if a.loops, err = eventloop.New(eventloop.DefaultCount()); err != nil {
		return err
	}
	if a.host, err = newHost(a.options, a.dirs); err != nil {
		return err
	}
	if a.store, err = openStore(c, a.options.Version, a.options.Log); err != nil {
		return err
	}
	if a.set, err = startValidators(ctx, a.host, c, nil); err != nil {
		return err
	}
	nats, err := a.fleet.prepare(c)
	if err != nil {
		return err
	}
	nats.apply() // before the record removes files
	if a.record, err = openRecord(c, a.recordOptions, a.options.Log); err != nil {
		return err
	}
	a.config, a.totals = c, newTotals(a.set)
	a.judge = judge.New(newChain(1, c, a.set))
	a.sessions = session.NewManager(a.judge, sessionOptions(c, a.record), a.options.Log)
	if a.store != nil {
		a.sessions.Restore(a.store)
	}
	a.server = server.New(a.sessions, a.loops, serverOptions(c, a.options.Version, a.record, set), a.options.Log)
	a.observers = newObservers(a)
	web := a.observers.begin(ctx, c)
	defer web.drop()
	if a.admin, err = startAdmin(a.observers.handler, place, a.options.Log); err != nil {
		return err
	}
	a.options.Log.Info("agent started", slog.String("address", a.addresses()),
		slog.String("version", a.options.Version), slog.String("config", source(c)),
		slog.String("validators", names(c)), slog.String("admin", a.admin.path()))
	web.apply()
	nats.begin()
	a.observers.background.Go(func() { a.observers.retry(a) })
	if c.AllowFaults {
		a.options.Log.Warn("faults are allowed: validators may make this agent misbehave")
	}
	a.failed = make(chan error, len(a.listeners))
	for _, listener := range a.listeners {
		go func() { a.failed <- a.server.Serve(listener.Listener, listener.mode()) }()
	}
	a.watchFiles(c, a.started)
	a.serving.Store(true)
	a.ready()
	watching, unwatch := context.WithCancel(context.Background())
	a.unwatch = unwatch
	a.certificates.warn()
	go a.watchCertificates(watching)
	go feedWatchdog(watching, a.options.Service, a.server.Probe, a.summary, a.options.Log)
	return nil
}

// ready reports to the service manager that the config is in force.
func (a *Agent) ready() { a.options.Service.Ready(a.summary()) }

// updateService reports a changed state to the service manager.
func (a *Agent) updateService() {
	if a.serving.Load() && a.stopping.Err() == nil {
		a.options.Service.Status(a.summary())
	}
}

// Addr returns the address that the agent listens on or waits for; the first of several.
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

// Stop stops the agent: it accepts no new connections, replies to each step in flight within the
// config's grace time, then closes everything, the validators last. When the context ends first, it
// closes the rest by force and returns an error. A reload in progress is rolled back.
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
	keepTime(a.current(), time.Now())
	a.options.Service.Stopping("stopping: steps in flight get their reply", a.current().Stop.Grace+stopMargin)
	err := a.server.Shutdown(grace)
	if err != nil {
		err = fmt.Errorf("connections were closed by force: %w", err)
		a.options.Log.Warn(err.Error())
	}
	hangs := within(ctx, func() error { a.sessions.Close(); return nil })
	err = errors.Join(err, hangs, a.release(ctx))
	a.options.Log.Info("agent stopped", slog.Duration("took", time.Since(began).Round(time.Millisecond)))
	return err
}

// stopMargin is how long a stop may take beyond the grace time, to close connections by force and
// to end plugins.
const stopMargin = 10 * time.Second

// release releases what start has acquired. An error says that the store of the sessions was not closed cleanly.
func (a *Agent) release(ctx context.Context) error {
	a.freeMemory.Stop()
	a.auto.watch(0, time.Time{})
	a.certFiles.watch(0, time.Time{})
	a.fleet.silence()
	if a.observers != nil {
		a.observers.close()
	}
	if a.admin != nil {
		a.admin.close()
	}
	closeAll(a.listeners)
	err := closeStore(ctx, a.store, a.options.Log)
	if a.set != nil {
		a.set.Close(ctx)
	}
	a.retired.Wait()
	a.auto.done.Wait()
	a.certFiles.done.Wait()
	a.record.Close()
	a.fleet.close()
	if a.host != nil {
		a.host.Close()
	}
	if a.loops != nil {
		a.loops.Close()
	}
	return err
}

func (a *Agent) current() *config.Loaded {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

func newHost(o Options, dirs []string) (*pluginhost.Host, error) {
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

// runtimeDirs returns the folders for sockets, in order of preference.
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
