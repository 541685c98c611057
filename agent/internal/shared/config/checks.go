package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/stepfile"
)

// maxHosts is the number of entries that http.hosts may have.
const maxHosts = 64

// checks returns the kinds of strings by the tag "check" of their fields.
func checks() map[string]kind {
	return map[string]kind{
		"host":        text{checkHost},
		"agent":       text{checkAgents},
		"procedure":   text{checkProcedure},
		"folder":      text{func(path string) string { return checkPath(path, "/var/lib/stepagent/record") }},
		"sessions":    text{func(path string) string { return checkPath(path, "/var/lib/stepagent/sessions") }},
		"file":        text{func(path string) string { return checkPath(path, "/var/lib/stepagent/http-token") }},
		"web":         text{checkWeb},
		"path":        text{checkRelative},
		"server":      text{checkServerName},
		databaseCheck: text{checkDatabase},
		"servers":     text{checkServers},
		"socket":      text{checkSocket},
		"group":       text{func(name string) string { return checkAccount(name, "group") }},
		"user":        text{func(name string) string { return checkAccount(name, "user") }},
		"pem":         text{checkPEM},
		"credentials": text{orEmpty(func(path string) string { return checkPath(path, "/etc/stepagent/nats.creds") })},
		"word":        text{checkRelative},
		"reference":   text{checkReference},
		"fleet":       text{checkSubjectWord},
		"board":       text{orEmpty(checkSubjectWord)},
		"listen":      text{checkListen},
		"identity":    text{checkPattern},
		"networks": listing{MaxAllow, `write ["loopback"] to serve this machine alone`, `["loopback", "192.0.2.0/24"]`,
			func(entry string) string { _, wrong := readNetwork(entry); return wrong }},
		"nats":       listing{maxServers, "", `["nats://a:4222", "nats://b:4222"]`, checkServer},
		"hosts":      listing{maxHosts, "", `["board-3.lan"]`, checkHost},
		"identities": listing{len(identities()), "name one at least, such as [\"uri\"]", `["uri", "dns"]`, checkIdentity},
		"patterns":   listing{maxPatterns, `write ["*"] for every name, or take the key out`, `["station-7-*"]`, checkPattern},
	}
}

// orEmpty returns the check for a text that may be empty too.
func orEmpty(check func(string) string) func(string) string {
	return func(text string) string {
		if text == "" {
			return ""
		}
		return check(text)
	}
}

// A syntax is that of a word: the bytes that it may begin with, and those that may follow. It is no regular
// expression, as each process, each plugin too, would pay for its compilation.
type syntax struct {
	first, rest string
	max         int // bytes
}

const (
	lower        = "abcdefghijklmnopqrstuvwxyz"
	upper        = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alphanumeric = lower + upper + digits
	digits       = "0123456789"
)

func (s syntax) matches(word string) bool {
	return word != "" && len(word) <= s.max && strings.Trim(word[:1], s.first) == "" && strings.Trim(word[1:], s.rest) == ""
}

// hostName is the preferred syntax of RFC 1123, section 2.1, with the underscore that
// container networks put into names.
var hostName = syntax{alphanumeric + "_", alphanumeric + "_.-", 253}

func isHostName(host string) bool {
	return hostName.matches(host) && !strings.HasSuffix(host, "-") && !isDottedDecimal(host)
}

// isDottedDecimal reports whether the text has four numbers with dots, such as a mistyped address. No top-level
// domain is a number, see RFC 3696, section 2.
func isDottedDecimal(text string) bool {
	return strings.Count(text, ".") == 3 && strings.Trim(text, digits+".") == ""
}

func checkHost(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	if host == "" {
		return `is empty; write "localhost" for this machine alone, "0.0.0.0" or "::" for every address`
	}
	if _, err := netip.ParseAddrPort(host); err == nil || strings.Count(host, ":") == 1 {
		return show(host) + " has a port in it; write the port under the key port"
	}
	if strings.HasPrefix(host, "[") {
		return show(host) + " has brackets; write the address without them"
	}
	if !isHostName(host) {
		return show(host) + ` is no address and no host name; write one such as "192.0.2.7" or "board-3.lan"`
	}
	return ""
}

// unbracketed removes the brackets of an IPv6 address.
func unbracketed(host string) string {
	if inner, ok := strings.CutPrefix(host, "["); ok && strings.HasSuffix(inner, "]") {
		inner = strings.TrimSuffix(inner, "]")
		if _, err := netip.ParseAddr(inner); err == nil {
			return inner
		}
	}
	return host
}

// checkProcedure checks the name of a built-in procedure, which may be empty.
func checkProcedure(name string) string {
	if _, err := stepfile.Builtin(name); err != nil && name != "" {
		return err.Error()
	}
	return ""
}

func checkPath(path, example string) string {
	switch {
	case !filepath.IsAbs(path):
		return fmt.Sprintf("%s is not an absolute path; write one such as %q", show(path), example)
	case !printable(path):
		return show(path) + " has unprintable characters; take them out"
	}
	return ""
}

// checkRelative checks a path, which may be relative to the current folder or empty.
func checkRelative(path string) string {
	if !printable(path) {
		return show(path) + " has unprintable characters; take them out"
	}
	return ""
}

// checkServerName checks the name that a certificate must have, which may be empty.
func checkServerName(name string) string {
	if _, err := netip.ParseAddr(name); err == nil || name == "" || isHostName(name) {
		return ""
	}
	return show(name) + ` is no host name and no address; write one such as "board-3.lan"`
}

const exampleWeb = `write one such as "127.0.0.1:8081"`

// checkWeb checks an address and a port for HTTP.
func checkWeb(address string) string {
	if address == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(address)
	_, portErr := strconv.ParseUint(port, 10, 16)
	_, addrErr := netip.ParseAddr(host)
	if err != nil || portErr != nil || host != "" && addrErr != nil && !isHostName(host) {
		return show(address) + " is no address with a port; " + exampleWeb
	}
	return ""
}

// IsLocal reports whether only this machine can reach the listener, or there is none.
func (h HTTP) IsLocal() bool {
	host, _, err := net.SplitHostPort(h.Listen)
	if h.Listen == "" || err == nil && host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() && addr.Zone() == "" && !addr.Is4In6()
}

// accountName is the syntax of a name that useradd(8) and groupadd(8) accept.
var accountName = syntax{lower + "_", lower + digits + "_-", 32}

// checkAccount checks the name or the id of a user or a group, which may be empty.
func checkAccount(name, what string) string {
	if name == "" || accountName.matches(name) {
		return ""
	}
	if _, err := strconv.ParseUint(name, 10, 32); err == nil {
		return ""
	}
	return fmt.Sprintf(`%s is no name and no id of a %s; write one such as "stepagent"`, show(name), what)
}

// MaxSocketBytes is the longest path of a unix socket, without the NUL at its end: unix(7),
// sun_path.
const MaxSocketBytes = 107

func checkSocket(path string) string {
	switch {
	case path == "":
		return ""
	case !filepath.IsAbs(path):
		return show(path) + " is not an absolute path; begin it with /"
	case len(path) > MaxSocketBytes:
		return "the path is too long for a unix socket; keep it to 107 bytes"
	case !printable(path):
		return show(path) + " has unprintable characters; take them out"
	}
	return ""
}
