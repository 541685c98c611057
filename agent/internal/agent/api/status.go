package api

import (
	"time"

	"github.com/stepagent/stepagent/agent/internal/agent/auditwriter"
	"github.com/stepagent/stepagent/agent/internal/agent/outbox"
	"github.com/stepagent/stepagent/agent/internal/agent/pluginhost"
	"github.com/stepagent/stepagent/agent/internal/agent/server"
	"github.com/stepagent/stepagent/agent/internal/agent/session"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore"
	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/jsonl"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
)

// A Status is the state of a running agent.
type Status struct {
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Address string `json:"address"`
	// Absent is why the address cannot be reached yet; empty when it can.
	Absent string `json:"address_absent,omitempty"`
	// Listeners are the addresses that the agent listens on or waits for, the config's order.
	Listeners []Listener `json:"listeners"`
	// Certificates are those of [tls] in the config; none without TLS.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Allow is that of the config.
	Allow  []string `json:"allow"`
	Config string   `json:"config"` // every file that was read, with commas
	// ConfigFile is the absolute path of the config, without its snippets; empty for the defaults.
	ConfigFile string `json:"config_file,omitempty"`
	// Started is when the agent was started, by the clock as it is now; Uptime is how long ago
	// that is, which no step of the clock changes.
	Started time.Time     `json:"started"`
	Uptime  jsonl.Seconds `json:"uptime_seconds"`
	// Generation is the number of the validators in force; it goes up with each reload.
	Generation uint64     `json:"generation"`
	Reload     LastReload `json:"last_reload"`
	// Watch is which files the agent watches to reload by itself.
	Watch Watch `json:"watch,omitzero"`
	// Trouble says in one line each what is not as it should be, such as a validator that
	// crashes again and again; none when all is well.
	Trouble     []string      `json:"trouble,omitempty"`
	Connections server.Stats  `json:"connections"`
	Sessions    session.Stats `json:"sessions"`
	// Store is the state of what keeps sessions beyond the agent's process.
	Store sessionstore.Status `json:"session_store"`
	// Record is the state of the agent's own record.
	Record auditwriter.Status `json:"record"`
	// Fleet is what the agent does in NATS; the zero value where the config names no servers.
	Fleet Fleet `json:"fleet,omitzero"`
	// Log counts the lines of the agent's log that are lost.
	Log logging.Stats `json:"log"`
	// HTTP is the listener of the page; the zero value where there is none.
	HTTP       HTTP      `json:"http,omitzero"`
	Validators []Process `json:"validators"`
	// Goroutines is their number in the agent; about constant while no client is connected.
	Goroutines int `json:"goroutines"`
}

// A Listener is an address for clients.
type Listener struct {
	Address string `json:"address"`
	// TLS is off, on or either.
	TLS string `json:"tls"`
	// Absent is why the address cannot be reached yet; empty when it can.
	Absent string `json:"absent,omitempty"`
}

// A Certificate is one of the agent's, a CA of its clients, or the list of those revoked.
type Certificate struct {
	certificate.Info
	// DaysLeft is how many whole days are left until NotAfter; negative when that is past.
	DaysLeft int `json:"days_left"`
}

// Fleet is what the agent does in NATS.
type Fleet struct {
	// Name is that of the fleet, and Board that of this board in it.
	Name  string `json:"name"`
	Board string `json:"board"`
	// Connection says which server is connected to, or why none is and what to do.
	Connection string `json:"connection"`
	Connected  bool   `json:"connected"`
	// Trouble is why there is no connection, once that has lasted for a while.
	Trouble string `json:"trouble,omitempty"`
	// Control says that requests over NATS are answered.
	Control bool `json:"control"`
	// Results is the state of publishing the agent's own record.
	Results outbox.Status `json:"results"`
}

// HTTP is the state of the HTTP listener.
type HTTP struct {
	// Address is empty where nothing listens.
	Address string `json:"address"`
	// TLS says that it is served over TLS.
	TLS bool `json:"tls,omitempty"`
	// Trouble is why nothing listens, though the config says so; the agent tries again and again.
	Trouble string `json:"trouble,omitempty"`
	// TokenFile holds the token for requests that change something; empty where ReadOnly is set and all
	// of these are refused.
	TokenFile string `json:"token_file,omitempty"`
	ReadOnly  bool   `json:"read_only"`
	// Viewers is how many viewers of events there are, at the admin socket too.
	Viewers int `json:"viewers"`
}

// URL returns the address of the page.
func (h HTTP) URL() string {
	if h.TLS {
		return "https://" + h.Address + "/"
	}
	return "http://" + h.Address + "/"
}

// A Process is one process of validators.
type Process struct {
	// Generation is that of the validators, by which the lines of sessions name who judged
	// them.
	Generation uint64 `json:"generation"`
	pluginhost.Status
	// Uptime is how long ago the process was started.
	Uptime jsonl.Seconds `json:"uptime_seconds"`
}

// Names returns the names of the validators in force, in the config's order.
func (s Status) Names() []string {
	var names []string
	for _, v := range s.Validators {
		names = append(names, v.Validators...)
	}
	return names
}

// A Watch says which files the agent watches to reload by itself; none where it does not.
type Watch struct {
	Files []string `json:"files,omitempty"`
	// Error says why it finds changes late; empty when it does not.
	Error string `json:"error,omitempty"`
}

// A LastReload is the result of the last reload. The zero value means none.
type LastReload struct {
	Time time.Time `json:"time,omitzero"`
	// Error is why the reload was refused; empty when it succeeded.
	Error string `json:"error,omitempty"`
}
