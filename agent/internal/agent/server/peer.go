package server

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
)

// A ClientRule says what the clients of an identity may do, which is that of their certificate.
type ClientRule struct {
	// Match is a pattern of identities, in which * is any text, the empty one too.
	Match string
	// Sessions are patterns of the session names that they may use; without any they may use all.
	Sessions []string
	// Connections limits the open connections of one identity, SessionsOpen its open sessions; 0 for
	// no limit but that of addresses. Changed limits are for connections that open later.
	Connections, SessionsOpen int
}

// mayUse reports whether the clients may use a session name.
func (r *ClientRule) mayUse(session string) bool {
	return len(r.Sessions) == 0 || slices.ContainsFunc(r.Sessions, func(pattern string) bool { return matches(pattern, session) })
}

// matches reports whether a pattern matches the whole text.
func matches(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, head)
	if !ok || !star {
		return ok && text == ""
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(text, part)
		}
		_, after, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text, rest = after, next
	}
}

// A peer is what is known of a client besides its address.
type peer struct {
	name     string // for logs, of a client without an address; else empty
	tls      *tls.Conn
	identity string
	counted  bool                       // in Server.byIdentity
	rule     atomic.Pointer[ClientRule] // nil for none
	revoked  atomic.Bool                // the certificate is not accepted any more
}

// text returns the name; empty for a nil peer.
func (p *peer) text() string {
	if p == nil {
		return ""
	}
	return p.name
}

// mayUse reports whether the client may use a session name, by the rule in force.
func (p *peer) mayUse(session string) bool {
	rule := p.rule.Load()
	return rule == nil || rule.mayUse(session)
}

// maxSessions returns the limit of open sessions of its identity; 0 for none.
func (p *peer) maxSessions() int {
	if rule := p.rule.Load(); rule != nil {
		return rule.SessionsOpen
	}
	return 0
}

// A notAllowedError says that no rule has the identity.
type notAllowedError struct{ identity string }

func (e *notAllowedError) Error() string {
	return fmt.Sprintf("the identity %q may not connect; add a match for it to tls.clients", e.identity)
}

// identify returns the identity of a client and the rule for it, which is nil if there are no rules.
func (o *Options) identify(state tls.ConnectionState) (string, *ClientRule, error) {
	if o.Certificates == nil {
		return "", nil, errNoCertificate
	}
	identity, err := o.Certificates.Identity(state)
	if err != nil || len(o.Clients) == 0 {
		return identity, nil, err
	}
	for i := range o.Clients {
		if rule := &o.Clients[i]; matches(rule.Match, identity) {
			return identity, rule, nil
		}
	}
	return identity, nil, &notAllowedError{identity}
}

// verify reports why a client may not connect; nil if it may.
func (o *Options) verify(state tls.ConnectionState) error {
	if o.Certificates != nil {
		if err := o.Certificates.Verify(state); err != nil {
			return err
		}
	}
	_, _, err := o.identify(state)
	return err
}

// recheck returns the rule for a client that is connected, or why it may not stay.
func (o *Options) recheck(p *peer) (*ClientRule, error) {
	state := p.tls.ConnectionState()
	if err := o.verify(state); err != nil {
		return nil, err
	}
	identity, rule, err := o.identify(state)
	if err == nil && identity != p.identity {
		err = fmt.Errorf("the identity of its certificate is %q now, by tls.identity", identity)
	}
	return rule, err
}

// explain returns why a client was refused or a connection has failed.
func explain(err error) string {
	if detail, ok := certificate.Refusal(err); ok {
		return detail
	}
	return err.Error()
}
