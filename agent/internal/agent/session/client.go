package session

import (
	"log/slog"
	"net/netip"
	"unique"

	"github.com/stepagent/stepagent/agent/internal/shared/auditlog"
)

// A Peer is the other end of a connection.
type Peer struct {
	Addr netip.AddrPort
	// Name is the text for logs and observers where Addr is invalid, as at a unix socket. If it is
	// empty, the text is that of Addr.
	Name string
	// Identity is that of the peer's certificate; empty for none.
	Identity string
	// MaySession reports whether the peer may use a session name. It must not block. Nil allows all.
	MaySession func(name string) bool
	// MaxSessions limits the open sessions that Identity has begun, over all connections; 0 for no
	// limit of its own.
	MaxSessions int
	// Gone reports whether the other end has closed, even if that has not been read yet. It must
	// not block. Nil when that cannot be told.
	Gone func() bool
}

// A client is what connections, sessions and slots keep of a peer.
type client struct {
	addr netip.AddrPort
	more *credentials // nil for a peer that has only an address
}

// credentials are what a peer has besides an address. They do not change.
type credentials struct {
	name, identity string
	key            unique.Handle[string] // of identity; the zero value for none
	maySession     func(string) bool
	maxSessions    int
}

func clientOf(p *Peer) client {
	c := client{addr: netip.AddrPortFrom(p.Addr.Addr().Unmap(), p.Addr.Port())}
	if p.Name != "" || p.Identity != "" || p.MaySession != nil {
		c.more = &credentials{name: p.Name, identity: p.Identity, maySession: p.MaySession, maxSessions: p.MaxSessions}
		if p.Identity != "" {
			c.more.key = unique.Make(p.Identity)
		}
	}
	return c
}

// identity returns the identity of the client's certificate; empty for none.
func (c *client) identity() string {
	if c.more == nil {
		return ""
	}
	return c.more.identity
}

// appendTo appends the client as logs and observers name it.
func (c *client) appendTo(b []byte) []byte {
	if c.more != nil && c.more.name != "" {
		return append(b, c.more.name...)
	}
	return c.addr.AppendTo(b)
}

func (c *client) String() string { return string(c.appendTo(make([]byte, 0, 64))) }

// appendAttrs appends the client and its identity, if it has one, to the attributes of a line of the
// log.
func (c *client) appendAttrs(attrs []slog.Attr) []slog.Attr {
	attrs = append(attrs, slog.String("client", c.String()))
	if identity := c.identity(); identity != "" {
		attrs = append(attrs, slog.String("identity", identity))
	}
	return attrs
}

// mayUse reports whether the client may use a session name.
func (c *client) mayUse(name string) bool {
	return c.more == nil || name == "" || c.more.maySession == nil || c.more.maySession(name)
}

// A clientKey selects clients by address, by identity or by both. Handles keep it small and fast to
// look up.
type clientKey struct {
	addr     netip.Addr
	identity unique.Handle[string]
}

// origin selects the clients that may resume a nameless session of this one: those of its address
// with its identity.
func (c *client) origin() clientKey {
	key := clientKey{addr: c.addr.Addr()}
	if c.more != nil {
		key.identity = c.more.key
	}
	return key
}

// account selects the clients whose session names are counted together: those of its identity,
// wherever they connect from, or else those of its address.
func (c *client) account() clientKey {
	if c.identity() != "" {
		return clientKey{identity: c.more.key}
	}
	return clientKey{addr: c.addr.Addr()}
}

// appendID appends the id of the client's sessions of a name. They belong to its identity; without
// one to its address if byAddress is set, and else to every client that uses the name.
func (c *client) appendID(id []byte, name string, byAddress bool) []byte {
	id = append(id, name...)
	switch identity := c.identity(); {
	case identity != "":
		return append(append(id, auditlog.IdentityMark...), identity...)
	case !byAddress:
		return id
	case c.addr.IsValid():
		return c.addr.Addr().AppendTo(append(id, auditlog.AddressMark...))
	default:
		return append(append(id, auditlog.AddressMark...), "unix"...)
	}
}
