package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost/stream"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
)

// A supervisor keeps one process running for a group. Only it starts and stops processes,
// one after the other, on a goroutine of its own.
type supervisor struct {
	host     *Host
	plugin   *plugin
	group    *group
	cache    *verdictcache.Cache // in front of the group
	ctx      context.Context     // ends when the set is closed
	cancel   context.CancelFunc
	done     chan struct{}  // closed when all processes have ended
	stopping sync.WaitGroup // processes that are being stopped

	mu       sync.Mutex // guards what follows, for Status
	state    State
	instance *instance // the last one
	restarts uint64
	lastErr  string
	failures int       // processes in a row that failed
	retryAt  time.Time // when the next is started, in BackingOff
}

// supervise starts the process of a group and returns its supervisor. cacheBytes bounds its cache.
func supervise(ctx context.Context, h *Host, members []member, cacheBytes int) (*supervisor, error) {
	p, err := openPlugin(h.options, members)
	if err != nil {
		return nil, err
	}
	in, err := h.launch(ctx, p)
	if err != nil {
		p.program.Close()
		return nil, err
	}
	s := &supervisor{host: h, plugin: p, group: newGroup(members, in.first), done: make(chan struct{})}
	o := members[0].Cache
	o.Bytes, o.Logger = cacheBytes, s.logger()
	s.cache = verdictcache.New(s.group, o)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serve(in)
	go s.run(in)
	return s, nil
}

// run replaces each process that is lost by another, until the set is closed.
func (s *supervisor) run(in *instance) {
	defer close(s.done)
	defer s.plugin.program.Close()
	defer s.stopping.Wait()
	defer s.setState(Stopped, nil)
	defer s.cache.Close()
	defer func() { s.group.setPhase(&phase{closed: true}) }()
	backoff := newBackoff(s.host.options)
	for in != nil {
		began, judged := time.Now(), s.group.judged.Load()
		select {
		case <-s.ctx.Done():
			s.group.setPhase(&phase{closed: true}) // before the steps in flight fail
			in.stop(s.host.options.StopTimeout)
			return
		case <-in.process.Exited():
		case <-in.stream.Lost():
		}
		last, cause := life{time.Since(began), s.group.judged.Load() - judged}, s.plugin.members[0].hidden(in.whyLost())
		s.setState(Starting, cause)
		s.group.setPhase(&phase{})
		lost := in
		lost.stream.Lose(cause) // where only the process has ended
		lost.process.Kill()
		s.stopping.Go(func() { lost.stop(0) }) // the next one does not wait for that
		in = s.replace(&backoff, last, cause)
	}
}

// replace starts processes until one serves. It returns nil when the set is closed first.
func (s *supervisor) replace(b *backoff, last life, cause error) *instance {
	for {
		delay := b.next(time.Now(), last, rand.Float64())
		s.logger().Warn("a plugin process is lost; another is started", "error", cause,
			"wait", delay.Round(time.Millisecond), "failures", b.failures)
		if delay > 0 {
			s.backOff(b, delay, cause)
			select {
			case <-time.After(delay):
			case <-s.ctx.Done():
				return nil
			}
			s.setState(Starting, cause)
		}
		in, err := s.host.launch(s.ctx, s.plugin)
		if err == nil {
			s.serve(in)
			return in
		}
		if s.ctx.Err() != nil {
			return nil
		}
		last, cause = life{}, err
		if wrong, ok := errors.AsType[*SpecError](err); ok {
			cause = errors.New(wrong.Bare()) // without the place in the config
		}
	}
}

// backOff notes when the next process is started. Steps wait for it within their time; once the
// breaker is open they are refused until a process serves again.
func (s *supervisor) backOff(b *backoff, delay time.Duration, cause error) {
	s.mu.Lock()
	s.failures, s.retryAt = b.failures, time.Now().Add(delay)
	s.mu.Unlock()
	s.setState(BackingOff, cause)
	if b.open() {
		s.group.setPhase(&phase{refusal: fmt.Errorf("the plugin failed %d times in a row and its restarts are delayed; "+
			"the last failure: %w", b.failures, cause)})
	}
}

// serve puts a process that is ready in force.
func (s *supervisor) serve(in *instance) {
	if s.instance == nil || !in.sameVerdicts(s.instance) {
		s.cache.Reset(stream.Key(in.reads))
	}
	s.mu.Lock()
	if s.instance != nil {
		s.restarts++
	}
	s.instance, s.state, s.failures = in, Serving, 0
	s.mu.Unlock()
	s.group.setPhase(&phase{stream: in.stream})
	s.logger().Info("a plugin process is ready", "name", in.name, "version", in.version,
		"path", s.plugin.program.Path, "pid", in.process.PID(), "confined", in.process.Confined(),
		"took", in.ready.Sub(in.process.Started()).Round(time.Millisecond))
}

func (s *supervisor) setState(state State, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
	if cause != nil {
		s.lastErr = cause.Error()
	}
}

func (s *supervisor) logger() *slog.Logger {
	return s.host.options.Logger.With("plugin", s.plugin.members[0].label(), "validators", s.group.names)
}
