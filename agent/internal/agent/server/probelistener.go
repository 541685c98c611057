package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A probeListener is a listener whose Accept also returns connections from within the process. They
// take the same path as those of clients, but no queue, limit or list applies to them, and no other
// process can make one.
type probeListener struct {
	net.Listener
	probes chan probeConn // of capacity 1
}

// A probeConn is the server's end of a connection from within the process.
type probeConn struct {
	net.Conn
	// judging bounds the judging of its step. A validator that hangs is its supervisor's concern;
	// the agent must still reply.
	judging context.Context
	address net.Addr
}

// RemoteAddr is the listener's own address, which names the probe's session.
func (p probeConn) RemoteAddr() net.Addr { return p.address }

// Accept returns the next connection. A probe wakes it by a deadline in the past.
func (l *probeListener) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nc, err
		}
		// In this order: a probe that comes after the check has set the deadline again.
		if err := l.setDeadline(time.Time{}); err != nil {
			return nil, err
		}
		select {
		case p := <-l.probes:
			return p, nil
		default:
		}
	}
}

func (l *probeListener) setDeadline(t time.Time) error {
	listener, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return fmt.Errorf("%v has no deadline", l.Addr())
	}
	return listener.SetDeadline(t)
}

// connect makes Accept return the probe.
func (l *probeListener) connect(ctx context.Context, p probeConn) error {
	select {
	case l.probes <- p:
		return l.setDeadline(time.Now())
	case <-ctx.Done(): // an earlier one has not been accepted
		return ctx.Err()
	}
}

// Probe checks that the server works: it sends a step through each listener, session and judge to
// the validators and back, and returns when all have been answered, or an error. The verdicts do not
// matter, nor whether validators answer in time: the agent must reply. Probes are neither counted,
// logged nor limited. The context must have a deadline; half of the time is for the validators.
func (s *Server) Probe(ctx context.Context) error {
	return s.probe(ctx, func(r protocol.Reason) bool { return r != protocol.Internal })
}

// ProbeVerdict is Probe, but validators must give a verdict.
func (s *Server) ProbeVerdict(ctx context.Context) error {
	return s.probe(ctx, func(r protocol.Reason) bool { return !r.AgentsOwn() })
}

// probe sends a step through each listener. The reasons of the replies must be good.
func (s *Server) probe(ctx context.Context, good func(protocol.Reason) bool) error {
	s.mu.Lock()
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	if len(listeners) == 0 {
		return errors.New("no connections are accepted yet")
	}
	for _, l := range listeners {
		if err := l.probe(ctx, good); err != nil {
			return fmt.Errorf("a step through %v: %w", l.Addr(), err)
		}
	}
	return nil
}

func (l *probeListener) probe(ctx context.Context, good func(protocol.Reason) bool) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("the probe has no deadline")
	}
	judging, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
	defer cancel()
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }() // cannot fail
	defer context.AfterFunc(ctx, func() { _ = ours.Close() })()
	if err := l.connect(ctx, probeConn{theirs, judging, l.Addr()}); err != nil {
		return fmt.Errorf("no connection is accepted: %w", err)
	}
	return exchangeStep(ctx, ours, good)
}

// exchangeStep sends a step and reads its reply. The connection closes when the context ends.
func exchangeStep(ctx context.Context, conn net.Conn, good func(protocol.Reason) bool) error {
	cause := func(err error) error { return cmp.Or(ctx.Err(), err) }
	if _, err := conn.Write(protocol.AppendRequest(nil, protocol.Request{StepID: 1})); err != nil {
		return fmt.Errorf("no request is read: %w", cause(err))
	}
	message, err := protocol.NewReader(conn, protocol.DefaultMaxMessageBytes).Next()
	if err != nil {
		return fmt.Errorf("no reply comes: %w", cause(err))
	}
	switch reply, err := protocol.DecodeReply(message); {
	case err != nil:
		return err
	case !good(reply.Reason) && reply.Reason == protocol.ShuttingDown: // the time for the validators is over
		return errors.New("validators give no verdict in time")
	case !good(reply.Reason):
		return fmt.Errorf("the step is not judged, %s: %s", reply.Reason, reply.Detail)
	default:
		return nil
	}
}
