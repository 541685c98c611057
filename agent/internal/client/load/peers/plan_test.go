package peers

import (
	"bytes"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/client/load"
	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
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

// A measuring plan is that of clients that send along what they have measured, which is never the
// same twice.
type measuring struct {
	steps []load.Exchange
	sent  atomic.Int64
}

func measured(b *testing.B) *measuring { return &measuring{steps: steps(b).Exchanges("")} }

// Exchanges implements load.Plan.
func (m *measuring) Exchanges(string) []load.Exchange {
	all := slices.Clone(m.steps)
	for i, e := range all {
		request := append(slices.Clip(bytes.TrimSuffix(e.Request, []byte("}\n"))), `,"data":{"volt":`...)
		request = strconv.AppendFloat(request, 12+float64(m.sent.Add(1))*1e-9, 'f', 9, 64)
		request = append(request, "}}\n"...)
		all[i].Request = request
	}
	return all
}

// pings is the plan of clients of Redis.
func pings() load.Plan {
	return literal{{Request: []byte("PING\r\n"), Reply: []byte("+PONG\r\n")}}
}
