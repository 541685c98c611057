// Package fleetcontrol answers requests that come over NATS: for the agent's status, and to reload. What it
// says and does is what the admin socket says and does.
package fleetcontrol

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/stepagent/stepagent/agent/internal/shared/fleet"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

// pendingRequests bounds the requests of one kind that wait; further ones get no reply.
const pendingRequests = 64

// Options say who answers, and what. All are needed.
type Options struct {
	// Fleet and Board name the subjects, see package fleet.
	Fleet, Board string
	// Version is that of the agent.
	Version string
	// Status returns the object of GET /api/v1/status. It is called by one goroutine at a time.
	Status func() any
	// Reload is that of api.Agent. It is called by one goroutine at a time.
	Reload func() error
	// Conn is the connection, which the caller closes too.
	Conn *natsconn.Conn
	Log  *slog.Logger
}

// A Server answers requests.
type Server struct {
	options Options
	begun   sync.WaitGroup

	answering sync.RWMutex // held for reading during a request; guards the field below
	closed    bool
}

// Serve begins to answer, as soon and as long as there is a connection. It does not wait.
func Serve(o Options) *Server {
	s := &Server{options: o}
	s.begun.Go(s.subscribe) // which may wait for a try to connect
	return s
}

// subscribe subscribes to the requests. The subscriptions outlive losses of the connection.
func (s *Server) subscribe() {
	o := s.options
	for subject, handle := range map[string]nats.MsgHandler{
		fleet.AllStatus(o.Fleet):       s.status,
		fleet.Status(o.Fleet, o.Board): s.status,
		fleet.Reload(o.Fleet, o.Board): s.reload,
	} {
		subscription, err := o.Conn.Subscribe(subject, s.answers(handle))
		if err == nil {
			err = subscription.SetPendingLimits(pendingRequests, -1)
		}
		if err != nil {
			o.Log.Warn("requests over NATS are not answered", slog.String("subject", subject), slog.Any("error", err))
		}
	}
}

// answers returns the handler that answers a request unless the server is closed.
func (s *Server) answers(handle nats.MsgHandler) nats.MsgHandler {
	return func(m *nats.Msg) {
		s.answering.RLock()
		defer s.answering.RUnlock()
		if !s.closed {
			handle(m)
		}
	}
}

// Close waits for the requests in progress, a reload too. Others get no reply from then on.
func (s *Server) Close() {
	s.answering.Lock()
	s.closed = true
	s.answering.Unlock()
	s.begun.Wait()
}

func (s *Server) status(m *nats.Msg) {
	text, err := json.Marshal(s.options.Status())
	if err != nil {
		s.options.Log.Error("the status is not valid JSON", slog.Any("error", err))
		return
	}
	s.reply(m, fleet.StatusReply{Board: s.options.Board, Agent: s.options.Version, Status: text})
}

func (s *Server) reload(m *nats.Msg) {
	reply := fleet.ReloadReply{Board: s.options.Board}
	s.options.Log.Info("reload requested over NATS")
	if err := s.options.Reload(); err != nil {
		const status = http.StatusUnprocessableEntity
		reply.Problem = &problem.Details{Title: http.StatusText(status), Status: status, Detail: err.Error()}
	} else {
		reply.OK = true
	}
	s.reply(m, reply)
}

// reply sends a reply, which is lost if the connection is.
func (s *Server) reply(m *nats.Msg, reply any) {
	text, err := json.Marshal(reply)
	if err == nil && m.Reply != "" {
		err = m.Respond(text)
	}
	if err != nil {
		s.options.Log.Warn("a request over NATS gets no reply", slog.String("subject", m.Subject), slog.Any("error", err))
	}
}
