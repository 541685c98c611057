// Package match reads a capture as a conversation: it finds the connections with an agent, cuts
// their streams into messages with the codec of the agent, and matches each reply to its
// request. It also bounds what the packets leave open: when a message was first sent, and how
// long it travelled. It applies no rules.
package match

import (
	"bytes"
	"net/netip"

	"github.com/stepagent/stepagent/agent/internal/client/capture"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A Conn is a TCP connection between a client and an agent.
type Conn struct {
	TCP           *capture.Conn
	Client, Agent netip.AddrPort
	// ToAgent is the stream of the client, ToClient that of the agent.
	ToAgent, ToClient *capture.Stream
	// ClientClock says that the timestamps in the client's packets tick at a known rate.
	ClientClock bool
	// Exchanges are the requests in the order in which they were sent.
	Exchanges []*Exchange
	// CutRequest is a request whose end is not in the capture, nil for none. Garbled are bytes
	// of the agent that are no reply. Unmatched are replies to no request.
	CutRequest *Message
	Garbled    []Message
	Unmatched  []Reply
}

// stepID is in every message of the protocol.
var stepID = []byte(`"step_id"`)

// MayBeAgents reports whether a payload may belong to a connection with an agent. It is a
// filter for capture.Options.
func MayBeAgents(payload []byte) bool { return bytes.Contains(payload, stepID) }

// Conns returns the connections with an agent, their messages matched. The agent listens on
// port; when port is 0, an agent is an end that sends replies or is sent requests. A request
// is at most maxRequestBytes long.
func Conns(c *capture.Capture, port uint16, maxRequestBytes int) []*Conn {
	agents := map[netip.AddrPort]bool{}
	if port == 0 {
		for _, tcp := range c.Conns {
			switch up, down := countReplies(tcp.Up), countReplies(tcp.Down); {
			case up > down:
				agents[tcp.Up.From] = true
			case down > 0:
				agents[tcp.Down.From] = true
			}
		}
	}
	isAgents := func(s *capture.Stream) bool { return agents[s.From] || port != 0 && s.From.Port() == port }
	mayBeClients := func(s *capture.Stream) bool { return port == 0 && startsWithRequest(s) }
	var all []*Conn
	for _, tcp := range c.Conns {
		var conn *Conn
		switch {
		case isAgents(tcp.Down), !isAgents(tcp.Up) && mayBeClients(tcp.Up):
			conn = newConn(tcp, tcp.Up, tcp.Down, tcp.UpClock)
		case isAgents(tcp.Up), mayBeClients(tcp.Down): // the SYN is not in the capture
			conn = newConn(tcp, tcp.Down, tcp.Up, tcp.DownClock)
		default:
			continue
		}
		conn.match(messages(conn.ToAgent, maxRequestBytes), messages(conn.ToClient, maxReplyBytes))
		all = append(all, conn)
	}
	return all
}

func newConn(tcp *capture.Conn, toAgent, toClient *capture.Stream, clock bool) *Conn {
	return &Conn{TCP: tcp, ToAgent: toAgent, ToClient: toClient, Client: toAgent.From, Agent: toClient.From, ClientClock: clock}
}

// sampleMessages is how many messages of a stream are decoded to find out who sent it.
const sampleMessages = 64

func countReplies(s *capture.Stream) int {
	sampled, replies := 0, 0
	for m := range messages(s, maxReplyBytes) {
		if _, err := protocol.DecodeReply(m.Raw); err == nil {
			replies++
		}
		if sampled++; sampled == sampleMessages {
			break
		}
	}
	return replies
}

// startsWithRequest reports whether the first message of a stream is a request. An agent may
// have answered none.
func startsWithRequest(s *capture.Stream) bool {
	for m := range messages(s, maxReplyBytes) {
		_, err := protocol.DecodeRequest(m.Raw)
		return err == nil
	}
	return false
}

// Complete reports whether no packet of the connection is known to be missing.
func (c *Conn) Complete() bool {
	return complete(c.ToAgent) && (c.AgentComplete() || c.Refused())
}

// AgentComplete reports whether no packet of the agent is known to be missing.
func (c *Conn) AgentComplete() bool { return complete(c.ToClient) }

func complete(s *capture.Stream) bool {
	return s.Started && len(s.Missing)+len(s.Late) == 0 && s.Undecoded.Bytes == 0
}

// Refused reports whether the client asked for a connection and the other end did not listen.
func (c *Conn) Refused() bool {
	return len(c.ToClient.Packets) == 0 && !c.ToClient.RST.IsZero() && len(c.Exchanges) == 0 && c.CutRequest == nil
}

// OneSided reports whether the capture has no packet of the agent.
func (c *Conn) OneSided() bool { return len(c.ToClient.Packets) == 0 && c.ToClient.RST.IsZero() }
