package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/internal/testkit/natstest"
	"github.com/stepagent/stepagent/agent/internal/testkit/soaktest"
	"github.com/stepagent/stepagent/agent/protocol"
)

var partitionsSeed = flag.Uint64("partitions.seed", 0, "seed of TestFleetPartitions; 0 for any")

// partitionsMoment is how long a short partition takes: connections survive it.
const partitionsMoment = 2 * time.Second

// TestFleetPartitions divides the network between agents that share their sessions and the servers that store
// them, each on a host of its own, while clients perform procedures as in TestFleetKills. A step that cannot be
// stored gets busy and takes no position. An agent that reaches most of the servers goes on meanwhile.
func TestFleetPartitions(t *testing.T) {
	soaktest.Only(t)
	seed := *partitionsSeed
	if seed == 0 {
		seed = rand.Uint64()>>1 + 1
	}
	if !inNamespaces(t, fmt.Sprintf("-partitions.seed=%d", seed)) {
		return
	}
	t.Logf("to see it again: -partitions.seed=%d", seed)
	hosts := newFleetHosts(t, 3+fleetAgents)
	p := &fleetPartitions{serverHosts: hosts[:3], agentHosts: hosts[3:]}
	p.fleetKills = newFleet(t, seed, places(p.serverHosts), places(p.agentHosts))
	p.perform([]fleetWay{
		p.way("an agent cut off", p.agentOff),
		p.way("an agent cut off from the servers", p.agentWithoutServers),
		p.way("an agent and a server cut off from the other servers", p.minority),
		p.way("a server cut off from the other servers", p.serverOff),
		p.way("all servers cut off from each other", p.serversApart),
	})
	t.Logf("%d steps got no verdict in a partition and one afterwards; all agents judged again within %v of each partition",
		p.refusals, p.slowest.Round(time.Millisecond))
}

// fleetPartitions are agents and servers on hosts.
type fleetPartitions struct {
	*fleetKills
	serverHosts, agentHosts []*fleetHost

	sessions atomic.Int64 // begun by the test
	mu       sync.Mutex   // guards the fields below
	refused  []int64      // sessions whose first step got no verdict yet
	refusals int          // all such

	slowest time.Duration // until all agents judged again
}

// way returns a way to divide the network: for longer than any timeout, and for a moment every second time.
// When it is whole again, each agent judges steps.
func (p *fleetPartitions) way(name string, divide func(long bool)) fleetWay {
	long := false
	return fleetWay{name, 50, 2, func() {
		p.t.Helper()
		long = !long
		divide(long)
		began := time.Now()
		p.judge(p.agents...)
		for n, session := range p.refused {
			p.judgeIn(p.agents[n%fleetAgents], session)
		}
		p.refused = nil
		p.slowest = max(p.slowest, time.Since(began))
	}}
}

// agentOff cuts an agent off from all else.
func (p *fleetPartitions) agentOff(long bool) {
	defer p.agentHosts[p.random.IntN(fleetAgents)].unplug()()
	p.last(long, func() {})
}

// agentWithoutServers cuts an agent off from the servers: clients reach it, and go on elsewhere.
func (p *fleetPartitions) agentWithoutServers(long bool) {
	n := p.random.IntN(fleetAgents)
	defer part(p.agentHosts[n:n+1], p.serverHosts)()
	p.last(long, func() { p.refuse(p.agents[n]) })
}

// minority cuts an agent and a server off from the other servers.
func (p *fleetPartitions) minority(long bool) {
	n := p.random.IntN(fleetAgents)
	server, others := p.server(long)
	defer part([]*fleetHost{p.agentHosts[n], server}, others)()
	p.last(long, func() { p.refuse(p.agents[n]) })
}

// serverOff cuts a server off from the other servers alone: all agents go on, and so do their results. In a
// long partition it is one that an agent sends its results to.
func (p *fleetPartitions) serverOff(long bool) {
	server, others := p.server(false)
	if long {
		server, others = p.serverOf(p.agent())
	}
	defer part([]*fleetHost{server}, others)()
	p.last(long, func() {
		p.judge(p.agents...) // and what had been sent before is acknowledged
		for _, a := range p.agents {
			before := a.status().Fleet.Results.Published
			waitFor(p.t, a.host+" to publish results", func() bool { return a.status().Fleet.Results.Published > before })
		}
	})
}

// serversApart leaves no server with another one, and so no leader.
func (p *fleetPartitions) serversApart(long bool) {
	for n, server := range p.serverHosts[1:] {
		defer part([]*fleetHost{server}, p.serverHosts[:n+1])()
	}
	if long {
		p.refuse(p.agents...)
		return
	}
	time.Sleep(partitionsMoment)
}

// last lets a partition last. A long one shows what it does to agents, and clients go on in it.
func (p *fleetPartitions) last(long bool, show func()) {
	p.t.Helper()
	if !long {
		time.Sleep(partitionsMoment)
		return
	}
	until := time.Now().Add(fleetPause)
	show()
	p.steps(10 * killsClientCount)
	time.Sleep(time.Until(until))
}

// server returns a server and the others: the one that leads the bucket or any.
func (p *fleetPartitions) server(leader bool) (one *fleetHost, others []*fleetHost) {
	p.t.Helper()
	n := p.random.IntN(len(p.servers))
	if leader {
		waitFor(p.t, "the bucket to have a leader", func() bool {
			ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
			defer cancel()
			stream, err := p.conn.JS.Stream(ctx, "KV_stepagent-sessions")
			if err != nil || stream.CachedInfo().Cluster == nil {
				return false
			}
			_, err = fmt.Sscanf(stream.CachedInfo().Cluster.Leader, "node-%d", &n)
			n-- // from 1
			return err == nil
		})
	}
	return p.apart(n)
}

// serverOf returns the server that an agent sends its results to, and the others.
func (p *fleetPartitions) serverOf(a *agentProcess) (one *fleetHost, others []*fleetHost) {
	p.t.Helper()
	n := -1
	waitFor(p.t, a.host+" to be connected", func() bool {
		connection := a.status().Fleet.Connection
		n = slices.IndexFunc(p.servers, func(s *natstest.Node) bool { return strings.Contains(connection, strings.TrimPrefix(s.URL, "nats://")) })
		return n >= 0
	})
	return p.apart(n)
}

// apart returns a server and the others.
func (p *fleetPartitions) apart(n int) (one *fleetHost, others []*fleetHost) {
	return p.serverHosts[n], slices.Concat(p.serverHosts[:n], p.serverHosts[n+1:])
}

// refuse sends agents a step of a new session each, which must get no verdict: it gets busy, or the connection
// ends where the step may have been stored.
func (p *fleetPartitions) refuse(agents ...*agentProcess) {
	p.t.Helper()
	var asking sync.WaitGroup
	for _, a := range agents {
		asking.Go(func() {
			session := p.sessions.Add(1)
			reply, err := p.ask(a, session)
			if reply.Reason != protocol.Busy && !errors.Is(err, client.ErrConnectionLost) {
				p.t.Errorf("%s without most of the servers: %s, error %v", a.host, answered(reply), err)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.refused, p.refusals = append(p.refused, session), p.refusals+1
		})
	}
	asking.Wait()
}

// judge waits until each of the agents has judged the first step of a new session.
func (p *fleetPartitions) judge(agents ...*agentProcess) {
	p.t.Helper()
	for _, a := range agents {
		p.judgeIn(a, p.sessions.Add(1))
	}
}

// judgeIn waits until an agent has judged the first step of a session, which passes.
func (p *fleetPartitions) judgeIn(a *agentProcess, session int64) {
	p.t.Helper()
	waitFor(p.t, a.host+" to judge a step", func() bool {
		reply, err := p.ask(a, session)
		if err == nil && !reply.OK() && !reply.Reason.AgentsOwn() {
			p.t.Fatalf("%s: the first step of a session got %s", a.host, answered(reply))
		}
		return err == nil && reply.OK()
	})
}

// ask sends an agent the first step of a session, once.
func (p *fleetPartitions) ask(a *agentProcess, session int64) (protocol.Reply, error) {
	conn, err := client.Dial(p.t.Context(), a.address(), client.Options{RetryFor: -1})
	if err != nil {
		return protocol.Reply{}, err
	}
	defer func() { _ = conn.Close() }()
	return conn.Do(p.t.Context(), protocol.Request{StepID: 1, Session: fmt.Sprintf("asked-%d", session), Req: protocol.NumReq(session),
		Timeout: protocol.Seconds(patience)})
}
