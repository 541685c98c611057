package config

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// MaxTLSClients is the number of rules that tls.clients may have.
	MaxTLSClients = 1024
	// MaxListeners is the number of listeners that listeners may have.
	MaxListeners = 16
	// maxPatterns is the number of patterns that the sessions of one rule may have.
	maxPatterns = 64
	// maxPatternBytes is the length of the longest pattern, which is that of the longest identity.
	maxPatternBytes = 256
)

// What a listener speaks, see Config.TLSMode.
const (
	TLSOff    = "off"    // plain TCP
	TLSOn     = "on"     // TLS alone
	TLSEither = "either" // each connection as its first byte says
	tlsAuto   = "auto"
)

// TLS is how the agent speaks TLS and which clients it lets in. The agent reads the files at a start
// and at a reload; this package does not.
type TLS struct {
	// Certificate is the PEM file with the server's certificate and its intermediates, in this order;
	// empty for no TLS. Key is that of the private key.
	Certificate string `config:"certificate" check:"pem"`
	Key         string `config:"key" check:"pem"`
	// ClientCA is the PEM file with the CAs of clients. With it every client over TLS needs a
	// certificate.
	ClientCA string `config:"client_ca" check:"pem"`
	// CRL is the PEM or DER file with the certificates of clients that are revoked.
	CRL string `config:"crl" check:"pem"`
	// CRLExpired is what happens once the next update of the CRL is past: "warn" or "refuse", which
	// refuses all clients with a certificate.
	CRLExpired string `config:"crl_expired" default:"warn" oneof:"warn,refuse"`
	// MinVersion is the lowest version of TLS, "1.2" or "1.3".
	MinVersion string `config:"min_version" default:"1.3" oneof:"1.2,1.3"`
	// Identity is which name of a client's certificate identifies it: the first of "uri", "dns" and
	// "cn" in this list that the certificate has.
	Identity []string `config:"identity" default:"uri,dns,cn" check:"identities"`
	// Mode is what host and port speak; see Config.TLSMode.
	Mode string `config:"mode" default:"auto" oneof:"auto,off,on,either" restart:"needed"`
	// Connections is the number of open connections with TLS.
	Connections int `config:"connections" default:"2048" limits:"1..1048576"`
	// Clients says who may connect; without any, each client with a valid certificate may. The first
	// whose Match matches counts.
	Clients []TLSClient `config:"clients"`
}

// A TLSClient is a rule for the clients whose identity matches. In its patterns * is any text, also
// none and also with slashes in it.
type TLSClient struct {
	// Match is the pattern of the identity.
	Match string `config:"match" check:"identity"`
	// Sessions are patterns of the session names that the clients may use.
	Sessions []string `config:"sessions" default:"*" check:"patterns"`
	// Connections is the number of open connections of one identity, SessionsOpen that of its open
	// sessions; 0 where limits.connections_per_address and limits.sessions_per_address count alone.
	Connections  int `config:"connections" limits:"0..1048576"`
	SessionsOpen int `config:"sessions_open" limits:"0..16777216"`
}

// A Listener is one that the agent has beside that of host and port.
type Listener struct {
	// Address is a host with a port, or "unix:" and the absolute path of a unix socket.
	Address string `config:"address" check:"listen"`
	// TLS is what it speaks; see Config.TLSMode.
	TLS string `config:"tls" default:"auto" oneof:"auto,off,on,either"`
	// Mode is the mode of the unix socket in octal; empty for a TCP listener.
	Mode string `config:"mode" oneof:"0600,0660,0666"`
	// Owner and Group are the user and the group of the unix socket, by name or id; empty for those
	// of the agent.
	Owner string `config:"owner" check:"user"`
	Group string `config:"group" check:"group"`
}

// defaultSocketMode is the Mode of a unix socket in listeners.
const defaultSocketMode = "0660"

const unixPrefix = "unix:"

// Socket returns the path of a unix socket, and false for a TCP listener.
func (l Listener) Socket() (path string, ok bool) { return strings.CutPrefix(l.Address, unixPrefix) }

// TLSMode returns TLSOff, TLSOn or TLSEither for what a listener, or tls.mode, says. "auto" is TLSOn
// for a TCP listener of an agent with a certificate, else TLSOff.
func (c Config) TLSMode(word string, unix bool) string {
	switch {
	case word != tlsAuto:
		return word
	case unix || c.TLS.Certificate == "":
		return TLSOff
	default:
		return TLSOn
	}
}

// modes returns what each listener speaks, that of host and port first.
func (c Config) modes() []string {
	modes := []string{c.TLSMode(c.TLS.Mode, false)}
	for _, l := range c.Listeners {
		_, unix := l.Socket()
		modes = append(modes, c.TLSMode(l.TLS, unix))
	}
	return modes
}

// The keys of an entry of a list; see rows.
var (
	tlsClientSchema = sync.OnceValue(func() *schema { return schemaOf("", reflect.TypeFor[TLSClient]()) })
	listenerSchema  = sync.OnceValue(func() *schema { return schemaOf("", reflect.TypeFor[Listener]()) })
)

func checkPEM(path string) string {
	if path == "" {
		return ""
	}
	return checkPath(path, "/etc/stepagent/tls/agent.pem")
}

// identities returns the names of a certificate that may identify its owner.
func identities() []string { return []string{"uri", "dns", "cn"} }

func checkIdentity(word string) string {
	if err := choice(identities()).check(word); err != nil {
		return err.Error()
	}
	return ""
}

func checkPattern(pattern string) string {
	switch {
	case pattern == "":
		return `is empty, which matches nothing; write a name, or "*" for all`
	case len(pattern) > maxPatternBytes:
		return fmt.Sprintf("the pattern is longer than %d bytes, and no name is; shorten it", maxPatternBytes)
	case !printable(pattern):
		return show(pattern) + " has unprintable characters; take them out"
	}
	return ""
}

// checkListen checks the address of a further listener.
func checkListen(address string) string {
	const example = `write one such as "0.0.0.0:8443" or "unix:/run/stepagent/steps.sock"`
	path, unix := strings.CutPrefix(address, unixPrefix)
	host, port, err := net.SplitHostPort(address)
	switch {
	case address == "":
		return "is empty; " + example
	case unix && path == "":
		return show(address) + " has no path; " + example
	case unix:
		return checkSocket(path)
	case strings.HasPrefix(address, "/"):
		return show(address) + " is a path; write " + show(unixPrefix+address) + " for a unix socket"
	case err != nil:
		return show(address) + " is no address with a port; " + example
	case host == "":
		return fmt.Sprintf(`%s has no host; write "0.0.0.0:%s" for every IPv4 address, "[::]:%[2]s" for every address`,
			show(address), clip(port))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return show(port) + " is no port; write a number from 0 to 65535"
	}
	return checkHost(host)
}

// tlsFindings finds what contradicts itself in [tls].
func (c Config) tlsFindings() (found []finding) {
	add := func(message string, keys ...string) { found = append(found, finding{keys, message}) }
	t := c.TLS
	switch {
	case t.Certificate == "" && t.Key != "":
		add("tls.key is the key of no certificate; set tls.certificate to the file of its certificate", "tls.key", "tls.certificate")
	case t.Certificate != "" && t.Key == "":
		add("tls.certificate has no key; set tls.key to the file of its private key", "tls.certificate", "tls.key")
	}
	for _, file := range []struct{ key, value string }{{"tls.client_ca", t.ClientCA}, {"tls.crl", t.CRL}} {
		if file.value != "" && t.Certificate == "" {
			add(file.key+" is for clients over TLS, and there is no TLS without a certificate; set tls.certificate and tls.key",
				file.key, "tls.certificate")
		}
	}
	switch {
	case c.HTTP.TLS && t.Certificate == "":
		add("http.tls needs a certificate; set tls.certificate and tls.key", "http.tls", "tls.certificate")
	case !c.HTTP.TLS && checkWeb(c.HTTP.Listen) == "" && !c.HTTP.IsLocal():
		add(fmt.Sprintf("%s can be reached from other machines; set http.tls to true, with a certificate in [tls], or %s "+
			"and reach it from elsewhere with ssh -L 8081:127.0.0.1:8081", show(c.HTTP.Listen), exampleWeb), "http.listen", "http.tls")
	}
	switch {
	case len(t.Clients) > 0 && t.Certificate == "":
		add("tls.clients is for clients over TLS, and there is no TLS without a certificate; set tls.certificate and tls.key",
			"tls.clients", "tls.certificate")
	case len(t.Clients) > 0 && t.ClientCA == "":
		add("tls.clients names clients by their certificates, which are asked for with tls.client_ca alone; set tls.client_ca",
			"tls.clients", "tls.client_ca")
	}
	if t.CRL != "" && t.Certificate != "" && t.ClientCA == "" {
		add("tls.crl revokes certificates of clients, which are asked for with tls.client_ca alone; set tls.client_ca",
			"tls.crl", "tls.client_ca")
	}
	if (t.Mode == TLSOn || t.Mode == TLSEither) && t.Certificate == "" {
		add(fmt.Sprintf("tls.mode is %q, which needs a certificate; set tls.certificate and tls.key", t.Mode), "tls.mode", "tls.certificate")
	}
	for i, word := range t.Identity {
		if slices.Contains(t.Identity[:i], word) {
			add("tls.identity has "+show(word)+" twice; take one of the two out", elementPath("tls.identity", i), "tls.identity")
		}
	}
	return slices.Concat(found, c.clientFindings())
}

// clientFindings finds what is wrong with the entries of tls.clients.
func (c Config) clientFindings() (found []finding) {
	const path = "tls.clients"
	if n := len(c.TLS.Clients); n > MaxTLSClients {
		return []finding{{[]string{path}, tooManyEntries(n, MaxTLSClients)}}
	}
	taken := map[string]string{}
	for i, client := range c.TLS.Clients {
		at := elementPath(path, i)
		found = append(found, rowFindings(tlsClientSchema(), &client, at)...)
		if first, ok := taken[client.Match]; ok {
			found = append(found, finding{[]string{join(at, "match")}, fmt.Sprintf(
				"the pattern %s is that of %s, and the first counts; take one of the two out", show(client.Match), first)})
			continue
		}
		taken[client.Match] = at
	}
	return found
}

// listenerFindings finds what is wrong with the entries of listeners.
func (c Config) listenerFindings() (found []finding) {
	const path = "listeners"
	if n := len(c.Listeners); n > MaxListeners {
		return []finding{{[]string{path}, tooManyEntries(n, MaxListeners)}}
	}
	taken := map[string]string{"": "", sameAddress(net.JoinHostPort(c.Host, strconv.Itoa(c.Port))): "host and port",
		sameAddress(c.HTTP.Listen): "http.listen", sameAddress(unixPrefix + c.Admin.Socket): "admin.socket"}
	for i, l := range c.Listeners {
		at := elementPath(path, i)
		add := func(key, format string, args ...any) {
			found = append(found, finding{[]string{join(at, key)}, fmt.Sprintf(format, args...)})
		}
		_, unix := l.Socket()
		checked := l
		if !unix && l.Mode == "" {
			checked.Mode = defaultSocketMode
		}
		found = append(found, rowFindings(listenerSchema(), &checked, at)...)
		address := sameAddress(l.Address)
		if first, ok := taken[address]; ok && address != "" {
			add("address", "the address %s is that of %s; give this listener one of its own", clip(l.Address), first)
		}
		taken[address] = at
		if c.TLS.Certificate == "" && (l.TLS == TLSOn || l.TLS == TLSEither) {
			found = append(found, finding{[]string{join(at, "tls"), "tls.certificate"},
				fmt.Sprintf("%q needs a certificate; set tls.certificate and tls.key", l.TLS)})
		}
		if unix {
			continue
		}
		for _, k := range []struct{ name, value string }{{"mode", l.Mode}, {"owner", l.Owner}, {"group", l.Group}} {
			if k.value != "" {
				add(k.name, "only a unix socket has this, and %s is an address; take it out, or write unix: and a path as the address",
					show(l.Address))
			}
		}
	}
	return found
}

// sameAddress returns one text for all ways to write an address; empty for one that takes no address
// from another: port 0, and a unix socket whose path is chosen later.
func sameAddress(address string) string {
	if strings.HasPrefix(address, unixPrefix) {
		return strings.TrimSuffix(address, unixPrefix)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" {
		return ""
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.String()
	}
	return net.JoinHostPort(strings.ToLower(host), port)
}

func tooManyEntries(n, most int) string {
	return fmt.Sprintf("%d entries are too many; keep to %d", n, most)
}
