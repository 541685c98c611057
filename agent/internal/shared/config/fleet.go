package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// NATS is the servers that the agent connects to, and as whom. The agent reads the files; this package
// does not.
type NATS struct {
	// URL is addresses of servers of one cluster, such as nats://a:4222 or tls://a:4222; empty for no
	// connection: nothing is started then.
	URL []string `config:"url" check:"nats"`
	// Credentials is the file with the JWT and the nkey of a user.
	Credentials string `config:"credentials" check:"credentials"`
	// User and Password identify the user where there are no credentials. Password is a reference to a
	// file or a variable, see NATSPassword.
	User     string `config:"user" check:"word"`
	Password string `config:"password" check:"reference"`
	// CA is the PEM file with the CAs of the servers; empty for those of the system. Cert and Key are
	// the PEM files with the certificate of this agent.
	CA   string `config:"ca" check:"pem"`
	Cert string `config:"cert" check:"pem"`
	Key  string `config:"key" check:"pem"`
}

// Fleet is what the agent does in NATS.
type Fleet struct {
	// Name is what the boards of a fleet share: one word of subjects.
	Name string `config:"name" default:"default" check:"fleet"`
	// Board is the name of this board in the fleet; empty for that of the machine.
	Board string `config:"board" check:"board"`
	// Results publishes the events of the agent's own record.
	Results bool `config:"results"`
	// Control answers requests for the status and carries out reloads.
	Control bool `config:"control"`
}

const maxServers = 16 // that nats.url may have

// natsSchemes are those of addresses of NATS servers.
func natsSchemes() []string { return []string{"nats", "tls", "ws", "wss"} }

const exampleServer = "write one such as nats://a:4222, or tls://a:4222"

// checkServer checks the address of a NATS server. Its messages do not show a password.
func checkServer(address string) string {
	scheme, _, found := strings.Cut(address, "://")
	at, err := url.Parse(address)
	switch {
	case !printable(address):
		return "the address has unprintable characters; take them out"
	case !found || !slices.Contains(natsSchemes(), scheme):
		return "an address begins with nats://, tls://, ws:// or wss://; " + exampleServer
	case err != nil || at.Hostname() == "":
		return "the address is not valid; " + exampleServer
	case at.User != nil:
		return "the address has a user in it; write the user under the key user, and a reference to the password under the key password"
	case at.RawQuery != "" || at.Fragment != "" || at.Path != "" && !strings.HasPrefix(scheme, "ws"):
		return show(address) + " has more than a host and a port; " + exampleServer
	}
	return ""
}

// subjectWord is the syntax of a word of a subject as the agent uses it.
var subjectWord = syntax{alphanumeric + "_-", alphanumeric + "_-", 64}

// checkSubjectWord checks the name of a fleet.
func checkSubjectWord(name string) string {
	if !subjectWord.matches(name) {
		return show(name) + " cannot be part of a subject; write up to 64 of A-Z, a-z, 0-9, - and _"
	}
	return ""
}

// IsFleetName reports whether fleet.name, and fleet.board unless it is empty, may be the text.
func IsFleetName(text string) bool { return subjectWord.matches(text) }

// BoardName returns the name of the board in the fleet on a machine with this host name, whose dots and
// other characters that a subject cannot have are replaced.
func (f Fleet) BoardName(host string) string {
	if f.Board != "" {
		return f.Board
	}
	word := strings.Map(func(r rune) rune {
		if strings.ContainsRune(subjectWord.rest, r) {
			return r
		}
		return '-'
	}, host)
	if word == "" {
		return "board"
	}
	return word[:min(len(word), subjectWord.max)]
}

// checkReference checks a text that is one reference to a secret, or empty.
func checkReference(text string) string {
	reference, starts := strings.CutPrefix(text, referenceStart)
	reference, ends := strings.CutSuffix(reference, "}")
	if text == "" || starts && ends && !strings.ContainsAny(reference, "${}") {
		return ""
	}
	return "is no reference; keep the password out of the config and write ${file:/PATH} or ${env:NAME}"
}

// NATSPassword returns the text that nats.password refers to; empty for none. The error is Problems.
func (l *Loaded) NATSPassword() (string, error) {
	r := &resolver{lookup: os.LookupEnv, texts: map[string]string{}}
	text, err := expand(l.NATS.Password, r.get)
	if err != nil {
		return "", Problems{l.Problem("nats.password", err.Error())}
	}
	return text, nil
}

// fleetFindings finds what contradicts itself in [nats] and [fleet].
func (c Config) fleetFindings() (found []finding) {
	add := func(message string, keys ...string) { found = append(found, finding{keys, message}) }
	n, f := c.NATS, c.Fleet
	switch {
	case n.Credentials != "" && n.User != "":
		add("nats.credentials and nats.user are two ways to say the same; take one of the two out", "nats.credentials", "nats.user")
	case n.User != "" && n.Password == "":
		add("nats.user has no password; set nats.password to a reference such as ${file:/etc/stepagent/nats-password}", "nats.user", "nats.password")
	case n.Password != "" && n.User == "":
		add("nats.password is the password of no user; set nats.user", "nats.password", "nats.user")
	}
	switch {
	case n.Cert == "" && n.Key != "":
		add("nats.key is the key of no certificate; set nats.cert to the file of its certificate", "nats.key", "nats.cert")
	case n.Cert != "" && n.Key == "":
		add("nats.cert has no key; set nats.key to the file of its private key", "nats.cert", "nats.key")
	}
	for _, needs := range []struct {
		key string
		set bool
	}{{"fleet.results", f.Results}, {"fleet.control", f.Control}} {
		if needs.set && len(n.URL) == 0 {
			add(fmt.Sprintf("%s needs NATS; set nats.url to the addresses of its servers, or %[1]s to false", needs.key), needs.key, "nats.url")
		}
	}
	if f.Results && !c.Record.Enabled {
		add("fleet.results publishes the agent's own record, which is off; set record.enabled to true, or fleet.results to false",
			"fleet.results", "record.enabled")
	}
	return found
}
