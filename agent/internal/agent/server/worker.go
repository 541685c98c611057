package server

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A worker is the goroutine of a connection that is not parked. Its state is its own while it runs;
// unpark prepares that of the next one.
type worker struct {
	conn             *conn
	reader           *protocol.Reader
	unread           []byte // what the loop read before the worker started
	recentlyUnparked bool   // parks only when the client is idle, or after parkAfterSteps
	steps            int    // since it was unparked
	neverPark        bool
}

// loop calls first, unless that is nil, and then handles messages until the connection ends or is
// parked. A false from first ends the connection.
func (w *worker) loop(first func() bool) {
	c, ended := w.conn, true // once parked, the connection may have another worker already
	defer func() {
		if p := recover(); p != nil {
			w.fail(p, debug.Stack())
		}
		if ended {
			c.end()
		}
	}()
	w.reader = protocol.NewReader(w, c.server.options.Load().MessageBytes)
	if first != nil && !first() {
		return
	}
	for {
		if err := w.awaitMessage(); err != nil {
			ended = !errors.Is(err, errParked)
			return
		}
		if !w.handleMessage() {
			return
		}
	}
}

// fail ends the connection after a panic, which must not end others.
func (w *worker) fail(p any, stack []byte) {
	w.conn.logPanic(p, stack)
	w.conn.countRefused(protocol.Internal)
	w.conn.sendLast(protocol.Internal, "the agent failed on this message")
}

// awaitMessage waits for the first byte of a message. It returns errParked when the connection is
// parked and the worker must end, and io.EOF when no message will come.
func (w *worker) awaitMessage() error {
	c := w.conn
	switch {
	case c.isEnding():
		w.refuseRest()
		return io.EOF
	case w.reader.Buffered():
		// A client that sends ahead is served one message at a time, among the others.
		runtime.Gosched()
		return nil
	case (!w.recentlyUnparked || w.steps >= parkAfterSteps) && c.park():
		return errParked
	case !c.setPhase(idle, c.server.options.Load().IdleTimeout+c.interval, 0):
		w.refuseRest()
		return io.EOF
	}
	for {
		err := w.reader.Wait()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, errIdle):
			w.refuseUnread(err)
			return io.EOF
		case c.park():
			return errParked
		}
	}
}

// Read reads from the connection, within the deadline that setPhase has set.
func (w *worker) Read(b []byte) (int, error) {
	if len(w.unread) > 0 {
		n := copy(b, w.unread)
		w.unread = w.unread[n:]
		return n, nil
	}
	for {
		n, err := w.conn.state.stream.Read(b)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := w.conn.readTimedOut(); err != nil {
			return 0, err
		}
	}
}

// handleMessage reads one message and answers it; false ends the connection.
func (w *worker) handleMessage() bool {
	c := w.conn
	o := c.server.options.Load()
	w.reader.SetMax(o.MessageBytes)
	c.setPhase(reading, o.MessageTime, drainTime) // for the whole message
	message, err := w.reader.Next()
	c.setBusy()
	if err != nil {
		return w.refuseUnread(err)
	}
	arrived := time.Now()
	req, err := protocol.DecodeRequest(message)
	if err != nil {
		return w.refuseUnread(err)
	}
	if c.delayedReplies() < o.PipelinedMessages {
		return w.judge(req, arrived)
	}
	c.warn(c.server.logLimits.ahead, "too many replies outstanding", slog.Int("limit", o.PipelinedMessages))
	refused := c.sessions.Refuse(&req, protocol.Busy, "too many replies of this connection are outstanding; wait for them")
	entry := c.newAuditEntry(o, &req, &refused, arrived)
	c.countRefused(protocol.Busy)
	return c.sendAudited(refused.Reply, arrived, entry)
}

// judge has a request judged, which may take a while, and answers it; false ends the connection.
func (w *worker) judge(req protocol.Request, arrived time.Time) bool {
	c := w.conn
	c.interval = min(req.Interval.Duration, session.MaxQuiet)
	answer := c.sessions.Do(c.steps, req, arrived)
	w.steps++
	entry := c.finish(&answer, &req, arrived)
	switch {
	case answer.Unknown:
		return c.reset(entry)
	case answer.Fault != nil && !c.probing:
		return c.injectFault(answer, req, arrived, entry)
	}
	return c.sendAudited(answer.Reply, arrived, entry)
}

// refuseUnread answers what could not be read as a request; false ends the connection.
func (w *worker) refuseUnread(err error) bool {
	c := w.conn
	s, o := c.server, c.server.options.Load()
	bad, isBad := errors.AsType[*protocol.Error](err)
	switch {
	case isBad && bad.Reason == protocol.BadRequest:
		c.warn(s.logLimits.bad, "bad request", slog.String("detail", bad.Detail))
		c.countRefused(bad.Reason)
		return c.send(bad.Reply(o.Codes.Of(bad.Reason)))
	case isBad:
		c.warn(s.logLimits.bad, "bad message", slog.String("detail", bad.Detail))
		c.countRefused(bad.Reason)
		c.sendLast(bad.Reason, bad.Detail)
	case errors.Is(err, io.EOF):
	case c.isEnding():
		c.linger(drainTime)
	case errors.Is(err, os.ErrDeadlineExceeded) && w.reader.Buffered():
		detail := "the message was not complete within " + o.MessageTime.String()
		c.warn(s.logLimits.slow, "slow message", slog.String("detail", detail))
		c.countRefused(protocol.BadMessage)
		c.sendLast(protocol.BadMessage, detail)
	case errors.Is(err, os.ErrDeadlineExceeded): // no mistake: a client that has finished may stay for a while
		s.logLimits.idle.Log(s.steps, s.log, slog.LevelInfo, "idle connection closed", c.attrs()...)
	default:
		w.broken(err)
	}
	return false
}

// broken logs an error of the connection. After one of TLS the client gets the time to read the alert
// that says why.
func (w *worker) broken(err error) {
	c := w.conn
	detail, isTLS := certificate.Refusal(err)
	if !c.overTLS || !isTLS {
		c.debug("connection ended", err)
		return
	}
	c.warn(c.server.logLimits.handshake, "TLS connection failed", slog.String("detail", detail))
	c.linger(maxLingerTime)
}

// refuseRest refuses, when the agent stops, the messages that the client has sent ahead. One whose
// certificate is not accepted any more gets no answer to them.
func (w *worker) refuseRest() {
	c := w.conn
	_ = c.state.stream.SetReadDeadline(time.Now()) // only what has been read already
	for c.server.draining.Load() && (w.reader.Buffered() || len(w.unread) > 0) {
		message, err := w.reader.Next()
		if err != nil {
			break
		}
		reply := protocol.Reply{Reason: protocol.ShuttingDown, Detail: "the agent stops"}
		if req, err := protocol.DecodeRequest(message); err == nil {
			reply.StepID, reply.Req, reply.Session = &req.StepID, req.Req, req.Session
		}
		reply.ErrorCode = c.server.options.Load().Codes.Of(reply.Reason)
		c.countRefused(reply.Reason)
		if !c.send(reply) {
			return
		}
	}
	c.linger(drainTime)
}
