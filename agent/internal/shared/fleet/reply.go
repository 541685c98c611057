package fleet

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/shared/problem"
)

// A StatusReply is the reply to a request for the status.
type StatusReply struct {
	// Board is the name of the board.
	Board string `json:"board"`
	// Agent is the agent's version.
	Agent string `json:"agent"`
	// Status is the object of GET /api/v1/status.
	Status jsontext.Value `json:"status"`
}

// A ReloadReply is the reply to a request to reload.
type ReloadReply struct {
	// Board is the name of the board.
	Board string `json:"board"`
	// OK says that the new config is in force.
	OK bool `json:"ok,omitzero"`
	// Problem says why the config was refused, so that the old one is in force; nil with OK.
	Problem *problem.Details `json:"problem,omitzero"`
}
