package pluginhost

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// A supervisor keeps one process running for a group. Only it starts and stops processes,
// one after the other, on a goroutine of its own.
type supervisor struct {
	host    *Host
	members []member
	program *program
	group   *group
	ctx     context.Context // ends when the set is closed
	cancel  context.CancelFunc
	done    chan struct{} // closed when nothing is left

	mu       sync.Mutex // for what Status shows
	state    State
	instance *instance // the last one
	restarts uint64
	lastErr  string
}

// supervise starts the process of a group and returns its supervisor.
func supervise(ctx context.Context, h *Host, members []member) (*supervisor, error) {
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
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serve(in)
	go s.run(in)
	return s, nil
}

// run puts another process in the place of one that is lost, until the set is closed.
func (s *supervisor) run(in *instance) {
	defer close(s.done)
	defer s.program.close()
	defer s.to(Stopped, nil)
	o := s.host.options
	wait := backoff{min: o.BackoffMin, max: o.BackoffMax, lasting: o.Lasting}
	for in != nil {
		began := time.Now()
		select {
		case <-s.ctx.Done():
			s.group.enter(&phase{closed: true})
			in.stop(o.StopTimeout)
			return
		case <-in.process.exited:
		case <-in.link.lost:
		}
		served, cause := time.Since(began), in.whyLost()
		s.to(Starting, cause)
		s.group.enter(&phase{})
		in.stop(0)
		in = s.replace(&wait, served, cause)
	}
	s.group.enter(&phase{closed: true})
}

// replace starts processes until one serves. It returns nil when the set is closed first.
func (s *supervisor) replace(wait *backoff, served time.Duration, cause error) *instance {
	for {
		delay := wait.next(served, rand.Float64())
		s.logger().Warn("a plugin process is lost; another is started", "error", cause,
			"wait", delay.Round(time.Millisecond))
		if delay > 0 {
			s.to(BackingOff, cause)
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
		served, cause = 0, err
	}
}

// serve puts a process that is ready in force.
func (s *supervisor) serve(in *instance) {
	s.mu.Lock()
	if s.instance != nil {
		s.restarts++
	}
	s.instance, s.state = in, Serving
	s.mu.Unlock()
	s.group.enter(&phase{link: in.link})
	s.logger().Info("a plugin process is ready", "name", in.name, "version", in.version,
		"path", in.path, "pid", in.process.pid(),
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
