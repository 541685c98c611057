package peers

import (
	"testing"

	"github.com/stepagent/stepagent/agent/internal/load"
	"github.com/stepagent/stepagent/agent/internal/stepfile"
)

// steps is the plan of clients of an agent.
func steps(b *testing.B) load.Plan {
	b.Helper()
	procedure, err := stepfile.Builtin("success")
	if err != nil {
		b.Fatal(err)
	}
	plan, err := load.Procedure(procedure)
	if err != nil {
		b.Fatal(err)
	}
	return plan
}

// literal is a plan whose replies are known to the letter.
type literal []load.Exchange

// Exchanges implements load.Plan.
func (l literal) Exchanges(string) []load.Exchange { return l }

// echoes is the plan of clients of an echo server, which send what those of an agent do.
func echoes(b *testing.B) load.Plan {
	var plan literal
	for _, e := range steps(b).Exchanges("") {
		plan = append(plan, load.Exchange{Request: e.Request, Reply: e.Request})
	}
	return plan
}

// pings is the plan of clients of Redis.
func pings() load.Plan {
	return literal{{Request: []byte("PING\r\n"), Reply: []byte("+PONG\r\n")}}
}
