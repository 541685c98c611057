package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A door is a listener whose Accept also returns connections from within the process. They
// come through the same loop as those of clients, but no queue, limit or list stands before
// them, and nobody outside can make one.
type door struct {
	net.Listener
	probes chan probe // of one place
}

// A probe is the server's end of a connection from within.
type probe struct {
	net.Conn
	// judging bounds the judging of its step: that a validator hangs is the business of its
	// supervisor, and the agent has an answer to it.
	judging context.Context
	address net.Addr
}

// RemoteAddr is the listener's own address, which names the probe's session.
func (p probe) RemoteAddr() net.Addr { return p.address }

func newDoor(listener net.Listener) *door {
	return &door{Listener: listener, probes: make(chan probe, 1)}
}

// Accept returns the next connection. A probe wakes it by a deadline that is over.
func (d *door) Accept() (net.Conn, error) {
	for {
		nc, err := d.Listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nc, err
		}
		// In this order: a probe that comes after the look has set the deadline again.
		if err := d.setDeadline(time.Time{}); err != nil {
			return nil, err
		}
		select {
		case p := <-d.probes:
			return p, nil
		default:
		}
	}
}

func (d *door) setDeadline(t time.Time) error {
	listener, ok := d.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return fmt.Errorf("%v has no deadline", d.Addr())
	}
	return listener.SetDeadline(t)
}

// enter puts the probe where Accept finds it.
func (d *door) enter(ctx context.Context, p probe) error {
	select {
	case d.probes <- p:
		return d.setDeadline(time.Now())
	case <-ctx.Done(): // an earlier one is still there
		return ctx.Err()
	}
}

// Probe finds out whether the server still does its work: for each listener it sends a step
// of its own through accept, session and judge to the validators and back, and returns when
// all have been answered, or else with an error. What the validators say does not matter,
// nor whether they say anything in time: the agent must answer. A probe counts nowhere, is
// not logged, and no limit refuses it. The context must have a deadline; half of the time is
// for the validators.
func (s *Server) Probe(ctx context.Context) error {
	s.mu.Lock()
	doors := make([]*door, 0, len(s.doors))
	for d := range s.doors {
		doors = append(doors, d)
	}
	s.mu.Unlock()
	if len(doors) == 0 {
		return errors.New("no connections are accepted yet")
	}
	for _, d := range doors {
		if err := s.probe(ctx, d); err != nil {
			return fmt.Errorf("a step through %v: %w", d.Addr(), err)
		}
	}
	return nil
}

func (s *Server) probe(ctx context.Context, d *door) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("the probe has no deadline")
	}
	judging, cancel := context.WithTimeout(ctx, time.Until(deadline)/2)
	defer cancel()
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }() // cannot fail
	defer context.AfterFunc(ctx, func() { _ = ours.Close() })()
	if err := d.enter(ctx, probe{theirs, judging, d.Addr()}); err != nil {
		return fmt.Errorf("no connection is accepted: %w", err)
	}
	return ask(ctx, ours)
}

// ask sends a step and reads its reply. The connection closes when the context ends.
func ask(ctx context.Context, conn net.Conn) error {
	cause := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err() // and not that the connection is closed
		}
		return err
	}
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
	case reply.Reason == protocol.Internal:
		return fmt.Errorf("the agent failed: %s", reply.Detail)
	default:
		return nil
	}
}
