package peers

import (
	"context"
	"log/slog"
	"net"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
	"github.com/stepagent/stepagent/agent/protocol"
	"github.com/stepagent/stepagent/plugins/mintimeout"
	"github.com/stepagent/stepagent/plugins/sdk"
	"github.com/stepagent/stepagent/plugins/sequence"
	"github.com/stepagent/stepagent/plugins/validator"
)

// serveEcho is a bare Go TCP echo server: a goroutine for each connection, a buffer, a read
// and a write.
func serveEcho(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = conn.Close() }()
			buffer := make([]byte, 512)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					return
				}
				if _, err := conn.Write(buffer[:n]); err != nil {
					return
				}
			}
		}()
	}
}

// serveInProcess is the agent's own server, with its default config and its default
// validators, which it calls as functions.
func serveInProcess(address string) error {
	c, err := config.Load(config.Sources{})
	if err != nil {
		return err
	}
	order, err := sequence.New(nil)
	if err != nil {
		return err
	}
	timeout, err := mintimeout.New(nil)
	if err != nil {
		return err
	}
	chain := judge.NewChain(judge.Options{Generation: 1, Limits: judge.Limits{Floor: c.Judging.Floor, Cap: c.Judging.Cap}},
		judge.Inline(judge.Member{Name: sequence.Name, Validator: order}, judge.Member{Name: mintimeout.Name, Validator: timeout}))
	log := slog.New(slog.DiscardHandler)
	sessions := session.NewManager(judge.New(chain), session.Options{
		Steps: c.Session.Steps, IdleTimeout: c.Session.IdleTimeout, ResumeWindow: c.Session.ResumeWindow, LongestInterval: c.Session.LongestInterval,
		TakeoverWait: c.Session.TakeoverWait, RememberedReplies: c.Session.RememberedReplies, MaxOpen: c.Limits.Sessions,
		MaxOpenPerAddress: c.Limits.SessionsPerAddress, RememberedBytes: c.Limits.RememberedBytes,
		Codes: protocol.Codes(c.ErrorCodes),
	}, log)
	eventloop.LimitProcessors()
	loops, err := eventloop.New(eventloop.DefaultCount())
	if err != nil {
		return err
	}
	s := server.New(sessions, loops, server.Options{
		Allow: c.Allowed(), Connections: c.Limits.Connections, ConnectionsPerAddress: c.Limits.ConnectionsPerAddress,
		MessageBytes: c.Limits.MessageBytes, MessageTime: c.Limits.MessageTime, ReplyTime: c.Limits.ReplyTime,
		PipelinedMessages: c.Limits.PipelinedMessages, IdleTimeout: c.Session.IdleTimeout,
		Codes: protocol.Codes(c.ErrorCodes),
	}, log)
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return s.Serve(listener, server.Plain)
}

// ownPlugin is a plugin such as a user writes: a validator that passes every step.
func ownPlugin() sdk.Plugin {
	return sdk.Plugin{Name: "own", Version: "1", Validators: []sdk.Validator{{
		Name: "own", Version: "1", New: func([]byte) (validator.Validator, error) { return own{}, nil }}}}
}

type own struct{}

func (own) Validate(context.Context, validator.Session, validator.Step) (validator.Verdict, error) {
	return validator.PassWith(nil), nil
}
