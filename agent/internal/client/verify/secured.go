package verify

import (
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/internal/client/capture/tlsrecord"
	"github.com/stepagent/stepagent/agent/internal/client/phrase"
	"github.com/stepagent/stepagent/agent/internal/client/verify/match"
	"github.com/stepagent/stepagent/agent/internal/client/verify/result"
)

// A secured is a connection that speaks TLS.
type secured struct {
	*tlsrecord.Conn
	tcp            *capture.Conn
	client, server *capture.Stream
	// toAgent says that the server is an agent.
	toAgent bool
}

// decrypt finds the connections that speak TLS and decrypts those whose secrets are known. It
// returns the capture with the connections that can be read: the others say nothing.
func decrypt(c *capture.Capture, opts Options) (readable *capture.Capture, all []*secured) {
	some := *c
	some.Conns = nil
	for _, tcp := range c.Conns {
		s := newSecured(tcp, opts.Port)
		if s != nil {
			s.decrypt(opts.Keys)
			all = append(all, s)
		}
		if s == nil || s.Problem == nil {
			some.Conns = append(some.Conns, tcp)
		}
	}
	return &some, all
}

// newSecured returns a connection that speaks TLS, nil for another. A client that speaks TLS may be
// answered in plain, by an agent that does not, or the other way round: such a connection speaks
// none.
func newSecured(tcp *capture.Conn, port uint16) *secured {
	sides := []*capture.Stream{tcp.Up, tcp.Down}
	if !slices.ContainsFunc(sides, speaksTLS) || slices.ContainsFunc(sides, speaksPlain) {
		return nil
	}
	s := &secured{tcp: tcp, client: tcp.Up, server: tcp.Down}
	_, asks := tlsrecord.RandomOf(beginning(tcp.Down))
	if asks || port != 0 && tcp.Up.From.Port() == port && tcp.Down.From.Port() != port {
		s.client, s.server = tcp.Down, tcp.Up // the SYN is not in the capture
	}
	s.toAgent = port != 0 && s.server.From.Port() == port
	return s
}

func speaksTLS(s *capture.Stream) bool {
	return slices.ContainsFunc(s.Chunks, func(c capture.Chunk) bool { return tlsrecord.Speaks(c.Data) })
}

func speaksPlain(s *capture.Stream) bool {
	return slices.ContainsFunc(s.Chunks, func(c capture.Chunk) bool { return match.MayBeAgents(c.Data) })
}

// beginning returns the bytes of a stream up to the first that is missing.
func beginning(s *capture.Stream) []byte {
	if len(s.Chunks) == 0 || s.Chunks[0].Offset != 0 {
		return nil
	}
	return s.Chunks[0].Data
}

// decrypt decrypts the connection with the secrets of a key log.
func (s *secured) decrypt(keys *tlsrecord.KeyLog) {
	s.Conn = tlsrecord.Decrypt(beginning(s.client), beginning(s.server), keys)
	s.toAgent = s.toAgent || s.ToAgent
	if s.Problem != nil {
		return
	}
	up, down := &s.Client, &s.Server
	if s.client != s.tcp.Up {
		up, down = down, up
	}
	s.tcp.Decode(parts(up), parts(down))
}

// parts returns the records of one side as parts of its stream.
func parts(side *tlsrecord.Side) []capture.Part {
	all := make([]capture.Part, len(side.Records))
	for i, r := range side.Records {
		all[i] = capture.Part{Begin: int64(r.Begin), End: int64(r.End), Data: r.Data}
	}
	return all
}

// findAgents finds which connections over TLS are with an agent: one of a connection that can be read,
// or one that a client asked for.
func (e *evidence) findAgents() {
	agents, known := map[netip.AddrPort]bool{}, map[*capture.Conn]bool{}
	for _, c := range e.conns {
		agents[c.Agent], known[c.TCP] = true, true
	}
	e.overTLS = map[*capture.Conn]bool{}
	for _, s := range e.secured {
		e.overTLS[s.tcp] = true
		agents[s.server.From] = agents[s.server.From] || s.toAgent
	}
	for _, s := range e.secured {
		if s.toAgent = agents[s.server.From]; s.toAgent && !known[s.tcp] {
			e.report.Connections++
		}
	}
}

// addAgents adds the agents of connections that were not replayed to the report.
func (e *evidence) addAgents() {
	for _, s := range e.secured {
		if s.toAgent && !slices.Contains(e.report.Agents, s.server.From) {
			e.report.Agents = append(e.report.Agents, s.server.From)
		}
	}
}

// nothingSaid reports whether the client is known to have said nothing: its handshake ended early.
func (s *secured) nothingSaid() bool {
	return s.Silent && s.client.Started && len(s.client.Missing) == 0
}

// inspectSecured reports how the connections over TLS were decrypted, or why not, and whether one is
// not that may have steps.
func (i *inspector) inspectSecured(all []*secured) (sealed bool) {
	i.inspectOpened(all)
	failed, closed := i.limited("tls_failed"), i.limited("tls_sealed")
	for _, s := range all {
		from, packet := s.client.From, s.tcp.First.Packet
		switch {
		case !s.toAgent:
		case s.Problem == nil:
			i.inspectSide(s, "client", s.client, &s.Client)
			i.inspectSide(s, "agent", s.server, &s.Server)
		case s.nothingSaid() && s.Alert != "":
			failed.add(result.Pass, packet, "the TLS handshake of %s failed: the agent said %q; no step was sent", from, s.Alert)
		case s.nothingSaid():
			failed.add(result.Pass, packet, "the TLS handshake of %s was not completed; no step was sent", from)
		case errors.Is(s.Problem, tlsrecord.ErrNoKeyLog):
			closed.add(result.Inconclusive, packet, "the connection of %s speaks TLS: what was said cannot be judged without its keys; give --keylog FILE, or use the record", from)
		default:
			closed.add(result.Inconclusive, packet, "the connection of %s speaks TLS: what was said cannot be judged: %v", from, s.Problem)
		}
	}
	return closed.added > 0
}

// inspectOpened reports the connections that were decrypted, by what they speak.
func (i *inspector) inspectOpened(all []*secured) {
	type protocol struct{ version, suite uint16 }
	opened := map[protocol][]*secured{}
	var order []protocol
	for _, s := range all {
		if !s.toAgent || s.Problem != nil {
			continue
		}
		p := protocol{s.Version, s.Suite}
		if opened[p] == nil {
			order = append(order, p)
		}
		opened[p] = append(opened[p], s)
	}
	for _, p := range order {
		first, who, speak := opened[p][0], phrase.Count(len(opened[p]), "connection"), "speak"
		if len(opened[p]) == 1 {
			who, speak = "the connection of "+first.client.From.String(), "speaks"
		}
		i.findings.Add(result.Pass, "tls", first.tcp.First.Packet, "%s %s %s with %s, decrypted with the key log",
			who, speak, tls.VersionName(p.version), tls.CipherSuiteName(p.suite))
	}
}

// errGap says why nothing behind missing bytes is decrypted: how many records they were is not known.
const errGap = tlsrecord.Error("packets before them are missing, and TLS counts its records")

// inspectSide reports what one side sent and cannot be decrypted, and its alert.
func (i *inspector) inspectSide(s *secured, who string, stream *capture.Stream, side *tlsrecord.Side) {
	if side.Alert != "" {
		i.findings.Add(result.Pass, "tls_alert", 0, "the %s ended TLS on the connection of %s: %s", who, s.client.From, side.Alert)
	}
	if stream.Undecoded.Bytes == 0 {
		return
	}
	problem, verdict := side.Problem, result.Inconclusive
	lost := len(stream.Missing)+len(stream.Late) > 0 || !stream.Started
	switch {
	case problem == nil, errors.Is(problem, tlsrecord.ErrCut) && lost:
		problem = errGap
	case errors.Is(problem, tlsrecord.ErrForged): // by a packet that is missing or damaged, or by hand
		verdict = result.FailUnless(lost || len(stream.Damaged)+len(stream.Conflicts) > 0)
	}
	i.findings.Add(verdict, "tls_cut", stream.Undecoded.Near, "of what the %s sent on the connection of %s, %s cannot be decrypted, from packet %d on: %v",
		who, s.client.From, phrase.Count(int(stream.Undecoded.Bytes), "byte"), stream.Undecoded.Near, problem)
}
