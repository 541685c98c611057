package session

import (
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/protocol"
)

// OptionsOf returns the rules that a config has for sessions: for the agent, and for whoever
// judges again what the agent did.
func OptionsOf(c config.Config) Options {
	return Options{
		Steps:             c.Session.Steps,
		IdleTimeout:       c.Session.IdleTimeout,
		ResumeWindow:      c.Session.ResumeWindow,
		LongestInterval:   c.Session.LongestInterval,
		TakeoverWait:      c.Session.TakeoverWait,
		RememberedReplies: c.Session.RememberedReplies,
		RememberedBytes:   c.Limits.RememberedBytes,
		MaxOpen:           c.Limits.Sessions,
		MaxOpenPerAddress: c.Limits.SessionsPerAddress,
		Codes:             protocol.Codes(c.ErrorCodes),
	}
}
