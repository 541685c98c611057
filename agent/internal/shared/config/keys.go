package config

import (
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A key is one scalar of the config, or a list of plain words: its name, and what its value
// may be.
type key struct {
	name string
	kind kind
}

// keys lists every scalar with its limits: one table for the file, the environment, the
// flags and Validate.
func keys() []key {
	const day = 24 * time.Hour
	return []key{
		{"host", text{checkHost}},
		{"port", integer{0, 65535}},
		{"allow", listing{MaxAllow, `write ["loopback"] to serve this machine alone`, `["loopback", "192.0.2.0/24"]`,
			func(entry string) string { _, wrong := readNetwork(entry); return wrong }}},
		{"allow_faults", boolean{}},

		{"session.steps", integer{1, 1_000_000}},
		{"session.idle_timeout", duration{time.Millisecond, 7 * day}},
		{"session.resume_window", duration{time.Millisecond, day}},
		{"session.longest_interval", duration{time.Second, day}},
		{"session.takeover_wait", duration{time.Millisecond, 10 * time.Second}},
		{"session.remembered_replies", integer{1, 65536}},

		{"limits.connections", integer{1, 1 << 20}},
		{"limits.connections_per_address", integer{1, 1 << 20}},
		{"limits.message_bytes", integer{64, 1 << 20}},
		{"limits.message_time", duration{time.Millisecond, time.Hour}},
		{"limits.reply_time", duration{time.Millisecond, time.Hour}},
		{"limits.pipelined_messages", integer{1, 65536}},
		{"limits.sessions", integer{1, 1 << 24}},
		{"limits.sessions_per_address", integer{1, 1 << 24}},
		{"limits.remembered_bytes", integer{1 << 16, 1 << 30}},

		{"judging.floor", duration{time.Millisecond, time.Hour}},
		{"judging.cap", duration{time.Millisecond, time.Hour}},
		{"judging.kept_mib", integer{0, 1 << 10}},
		{"judging.recheck_every", integer{0, 1 << 20}},
		{"plugins.memory_mib", integer{0, 1 << 20}},
		{"plugins.processes", integer{0, 1 << 20}},
		{"plugins.open_files", integer{0, 1 << 20}},
		{"plugins.shadow_every", integer{0, 1 << 20}},
		{"reload.on_change", boolean{}},
		{"reload.settle", duration{10 * time.Millisecond, time.Minute}},
		{"stop.grace", duration{time.Millisecond, time.Hour}},

		{"log.format", choice{"auto", "tint", "text", "json"}},
		{"log.level", choice{"debug", "info", "warn", "error"}},

		{"record.enabled", boolean{}},
		{"record.dir", text{checkFolder}},
		{"record.file_mib", integer{1, 1024}},
		{"record.file_age", duration{time.Second, 366 * day}},
		{"record.total_mib", integer{2, 1 << 20}},
		{"record.queue", integer{16, 1 << 20}},

		{"admin.socket", text{checkSocket}},
		{"admin.mode", choice{"0600", "0660", "0666"}},
		{"admin.group", text{checkGroup}},
	}
}

// kindOf returns the kind of the named scalar, nil when there is no such key.
func kindOf(name string) kind {
	for _, k := range keys() {
		if k.name == name {
			return k.kind
		}
	}
	return nil
}

// keyNames returns the names of all scalars.
func keyNames() []string {
	var names []string
	for _, k := range keys() {
		names = append(names, k.name)
	}
	return names
}

// isSection reports whether name is a table that holds scalars.
func isSection(name string) bool {
	for _, k := range keys() {
		if section, _, ok := strings.Cut(k.name, "."); ok && section == name {
			return true
		}
	}
	return false
}

// hostName is the preferred syntax of RFC 1123, section 2.1, with the underscore that
// container networks put into names.
var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$`)

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
	if !hostName.MatchString(host) {
		return show(host) + ` is no address and no host name; write one such as "192.0.2.7" or "board-3.lan"`
	}
	return ""
}

func checkFolder(path string) string {
	switch {
	case !filepath.IsAbs(path):
		return show(path) + ` is not an absolute path; write one such as "/var/lib/stepagent/record"`
	case !printable(path):
		return show(path) + " has unprintable characters; take them out"
	}
	return ""
}

// groupName is what groupadd(8) takes, or the id of a group.
var groupName = regexp.MustCompile(`^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,10})$`)

func checkGroup(name string) string {
	if name == "" || groupName.MatchString(name) {
		return ""
	}
	return show(name) + ` is no name and no id of a group; write one such as "stepagent"`
}

// maxSocketBytes is the longest path of a unix socket, without the NUL at its end: unix(7),
// sun_path.
const maxSocketBytes = 107

func checkSocket(path string) string {
	switch {
	case path == "":
		return ""
	case !filepath.IsAbs(path):
		return show(path) + " is not an absolute path; begin it with /"
	case len(path) > maxSocketBytes:
		return "the path is too long for a unix socket; keep it to 107 bytes"
	case !printable(path):
		return show(path) + " has unprintable characters; take them out"
	}
	return ""
}
