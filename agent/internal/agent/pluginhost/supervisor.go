package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
)

// A supervisor keeps one process running for a group. Only it starts and stops processes,
// one after the other, on a goroutine of its own.
type supervisor struct {
	host    *Host
	members []member
	program *program
	group   *group
	cache   *verdictcache.Cache // in front of the group
	ctx     context.Context     // ends when the set is closed
	cancel  context.CancelFunc
	done    chan struct{}  // closed when nothing is left
	ended   sync.WaitGroup // processes that are being taken down

	mu       sync.Mutex // for what Status shows
	state    State
	instance *instance // the last one; written by the goroutine that starts processes alone
	restarts uint64
	lastErr  string
	failures int       // processes in a row that were no good
	retryAt  time.Time // when the next is started, in BackingOff
}

// supervise starts the process of a group and returns its supervisor. keptBytes bounds the verdicts
// that are kept of it.
func supervise(ctx context.Context, h *Host, members []member, keptBytes int) (*supervisor, error) {
	program, err := load(h, members)
	if err != nil {
		return nil, err
	}
	in, err := launch(ctx, h, members, program)
	if err != nil {
		program.close()
		return nil, err
	}
	s := &supervisor{host: h, members: members, program: program, group: newGroup(members, in.first), done: make(chan struct{})}
	o := members[0].Cache
	o.Bytes, o.Logger = keptBytes, s.logger()
	s.cache = verdictcache.New(s.group, o)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serve(in)
	go s.run(in)
	return s, nil
}

// run puts another process in the place of one that is lost, until the set is closed.
func (s *supervisor) run(in *instance) {
	defer close(s.done)
	defer s.program.close()
	defer s.ended.Wait()
	defer s.to(Stopped, nil)
	o := s.host.options
	wait := newBackoff(o)
	for in != nil {
		began, judged := time.Now(), s.group.judged.Load()
		select {
		case <-s.ctx.Done():
			s.group.enter(&phase{closed: true})
			in.stop(o.StopTimeout)
			s.cache.Close()
			return
		case <-in.process.exited:
		case <-in.link.lost:
		}
		last, cause := life{time.Since(began), s.group.judged.Load() - judged}, in.whyLost()
		s.to(Starting, cause)
		s.group.enter(&phase{})
		lost := in
		lost.link.lose(cause) // where only the process has ended
		lost.process.kill()
		s.ended.Go(func() { lost.stop(0) }) // the next one does not wait for that
		in = s.replace(&wait, last, cause)
	}
	s.group.enter(&phase{closed: true})
	s.cache.Close()
}

// replace starts processes until one serves. It returns nil when the set is closed first.
func (s *supervisor) replace(wait *backoff, last life, cause error) *instance {
	for {
		delay := wait.next(time.Now(), last, rand.Float64())
		s.logger().Warn("a plugin process is lost; another is started", "error", cause,
			"wait", delay.Round(time.Millisecond), "failures", wait.failures)
		if delay > 0 {
			s.backOff(wait, delay, cause)
			select {
			case <-time.After(delay):
			case <-s.ctx.Done():
				return nil
			}
			s.to(Starting, cause)
		}
		in, err := launch(s.ctx, s.host, s.members, s.program)
		if err == nil {
			s.serve(in)
			return in
		}
		if s.ctx.Err() != nil {
			return nil
		}
		last, cause = life{}, err
		if wrong, ok := errors.AsType[*SpecError](err); ok {
			cause = errors.New(wrong.Bare()) // the config is not what anybody looks at now
		}
	}
}

// backOff lets the next start wait. Steps wait with it for as long as that is worth while;
// once the breaker is open they are refused until a process serves again.
func (s *supervisor) backOff(wait *backoff, delay time.Duration, cause error) {
	s.mu.Lock()
	s.failures, s.retryAt = wait.failures, time.Now().Add(delay)
	s.mu.Unlock()
	s.to(BackingOff, cause)
	if wait.open() {
		s.group.enter(&phase{refusal: fmt.Errorf("the plugin failed %d times in a row and is started again only now and then; "+
			"the last time: %w", wait.failures, cause)})
	}
}

// serve puts a process that is ready in force.
func (s *supervisor) serve(in *instance) {
	if last := s.instance; last == nil || !in.saysAs(last) {
		s.cache.Reset(in.key())
	}
	s.mu.Lock()
	if s.instance != nil {
		s.restarts++
	}
	s.instance, s.state, s.failures = in, Serving, 0
	s.mu.Unlock()
	s.group.enter(&phase{link: in.link})
	s.logger().Info("a plugin process is ready", "name", in.name, "version", in.version,
		"path", in.path, "pid", in.process.pid(), "confined", in.process.confined,
		"took", in.ready.Sub(in.started).Round(time.Millisecond))
}

func (s *supervisor) to(state State, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
	if cause != nil {
		s.lastErr = cause.Error()
	}
}

func (s *supervisor) logger() *slog.Logger {
	return s.host.options.Logger.With("plugin", s.members[0].label(), "validators", s.group.names)
}
