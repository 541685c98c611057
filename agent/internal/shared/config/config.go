// Package config reads the config of the agent and the settings of stepctl.
//
// A Config comes from four sources: flags over the environment over a file, TOML or YAML, over
// Default. Load reads them strictly, merges them and checks the result. It reports all Problems at
// once, each with its place. A Config is a plain value: no goroutine or state remains after Load.
//
// configs/ in the project holds a commented sample of each format.
package config

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Config is the whole configuration of the agent. A field with its tags is a key, see tagName.
// Every key but the lists and tables at the end has an environment variable, such as
// STEPAGENT_SESSION_IDLE_TIMEOUT.
type Config struct {
	// Host is the address or the host name to listen on, without a port.
	Host string `config:"host" default:"localhost" check:"host" restart:"needed" flag:"address or name of the <HOST> to listen on"`
	// Port is the TCP port to listen on, 0 for any free one.
	Port int `config:"port" default:"8080" limits:"0..65535" restart:"needed" flag:"TCP <PORT> to listen on, 0 for any free one"`
	// Allow is the source addresses that the agent serves: addresses, prefixes, and the words
	// loopback, private, link-local and all.
	Allow []string `config:"allow" default:"loopback,private,link-local" check:"networks" flag:"<LIST> of the source addresses to serve, with commas: addresses, prefixes, loopback, private, link-local, all"`
	// AllowFaults permits validators that make the agent misbehave on purpose.
	AllowFaults bool `config:"allow_faults"`

	TLS     TLS     `config:"tls"`
	Session Session `config:"session"`
	Limits  Limits  `config:"limits"`
	Judging Judging `config:"judging"`
	Plugins Plugins `config:"plugins"`
	Reload  Reload  `config:"reload"`
	Stop    Stop    `config:"stop"`
	Log     Log     `config:"log"`
	Record  Record  `config:"record"`
	Admin   Admin   `config:"admin"`
	HTTP    HTTP    `config:"http"`
	NATS    NATS    `config:"nats"`
	Fleet   Fleet   `config:"fleet"`

	// Listeners are further listeners, after that of Host and Port; up to MaxListeners. They cannot
	// change while the agent runs.
	Listeners []Listener `config:"listeners"`
	// Validators judge every step, in this order.
	Validators []Validator `config:"validators"`
	// ErrorCodes gives reasons an error_code of their own in replies, never 0. A reason
	// that is not in it has the code 1.
	ErrorCodes map[protocol.Reason]int `config:"error_codes"`
}

// Session is when a session begins, is resumed and ends.
type Session struct {
	// Steps is the number of judged steps after which a session ends.
	Steps int `config:"steps" default:"10" limits:"1..1000000"`
	// IdleTimeout is how long a session may have no step before it is closed as incomplete,
	// an interval that the client declared not counted. An idle connection is closed after
	// the same time.
	IdleTimeout time.Duration `config:"idle_timeout" default:"5m" limits:"1ms..168h"`
	// ResumeWindow is how long a session stays open when its connection closes in
	// mid-procedure, counted from the end of the declared interval if that is later.
	ResumeWindow time.Duration `config:"resume_window" default:"1m" limits:"1ms..24h"`
	// LongestInterval is how long a declared interval keeps a session whose connection has
	// closed, counted from the close.
	LongestInterval time.Duration `config:"longest_interval" default:"1h" limits:"1s..24h"`
	// TakeoverWait is how long the first step of a connection without a session name waits while it
	// is not clear which session of its address it continues.
	TakeoverWait time.Duration `config:"takeover_wait" default:"250ms" limits:"1ms..10s"`
	// RememberedReplies is the number of replies kept for each session name, to answer a
	// repeated req.
	RememberedReplies int `config:"remembered_replies" default:"64" limits:"1..65536"`
	// Owner is what a named session belongs to where the client has no certificate: "name", the name
	// alone, so that a client may change its address, or "address", the address that began it. A
	// session of a client with a certificate belongs to its identity.
	Owner string `config:"owner" default:"name" oneof:"name,address"`
	// Survives is what open sessions survive: "nothing", a "restart" of the agent, also after a crash, or
	// a "power_cut" too.
	Survives string `config:"survives" default:"nothing" oneof:"nothing,restart,power_cut" restart:"needed"`
	// Dir is the folder in which sessions are stored, unless Survives is "nothing". It holds nothing else;
	// sessions in systemd's StateDirectory for a service that has one.
	Dir string `config:"dir" default:"/var/lib/stepagent/sessions" check:"sessions" restart:"needed"`
	// Store is where sessions are kept: StoreFile, as Survives and Dir say, or StoreNATS, a bucket that
	// agents share, so that named sessions go on at another agent. Survives and Dir do not apply then.
	Store string `config:"store" default:"file" oneof:"file,nats" restart:"needed"`
	// Bucket is the name of that bucket.
	Bucket string `config:"bucket" default:"stepagent-sessions" check:"fleet" restart:"needed"`
}

// What Session.Store may be.
const (
	StoreFile = "file"
	StoreNATS = "nats"
)

// What Session.Survives may be.
const (
	SurvivesNothing  = "nothing"
	SurvivesRestart  = "restart"
	SurvivesPowerCut = "power_cut"
)

// KeepsFiles reports whether sessions are kept in files, in Dir.
func (s *Session) KeepsFiles() bool { return s.Store == StoreFile && s.Survives != SurvivesNothing }

// Limits bound the resources that clients can use.
type Limits struct {
	// Connections is the number of open connections in all.
	Connections int `config:"connections" default:"16384" limits:"1..1048576"`
	// ConnectionsPerAddress is the number of open connections from one IP address; that of
	// Connections when only Connections is set, and lower.
	ConnectionsPerAddress int `config:"connections_per_address" default:"8192" limits:"1..1048576" within:"limits.connections"`
	// MessageBytes is the length of the longest message, in bytes.
	MessageBytes int `config:"message_bytes" default:"4096" limits:"64..1048576"`
	// MessageTime is how long one message may take to arrive, counted from its first byte.
	MessageTime time.Duration `config:"message_time" default:"5s" limits:"1ms..1h"`
	// ReplyTime is how long a client may take to accept one reply.
	ReplyTime time.Duration `config:"reply_time" default:"5s" limits:"1ms..1h"`
	// PipelinedMessages is the number of replies that one connection may be owed.
	PipelinedMessages int `config:"pipelined_messages" default:"1024" limits:"1..65536"`
	// Sessions is the number of open sessions in all.
	Sessions int `config:"sessions" default:"16384" limits:"1..16777216"`
	// SessionsPerAddress is the number of open sessions that one IP address may have begun;
	// that of Sessions when only Sessions is set, and lower.
	SessionsPerAddress int `config:"sessions_per_address" default:"8192" limits:"1..16777216" within:"limits.sessions"`
	// RememberedBytes is the memory, in bytes, for the replies kept for repeated requests, of
	// all names together. Past it the names whose sessions ended longest ago lose theirs.
	RememberedBytes int `config:"remembered_bytes" default:"67108864" limits:"65536..1073741824"`
}

// Judging bounds the time in which a step is judged: the timeout that the client declared,
// but no less than Floor and no more than Cap. Past that the step is undecided.
type Judging struct {
	Floor time.Duration `config:"floor" default:"1s" limits:"1ms..1h"`
	Cap   time.Duration `config:"cap" default:"30s" limits:"1ms..1h"`
	// KeptMiB is the memory, in MiB, for verdicts that are kept, so that a validator which has
	// declared what it reads is not asked the same twice; 0 keeps none.
	KeptMiB int `config:"kept_mib" default:"4" limits:"0..1024"`
	// RecheckEvery is n where every n-th kept verdict is judged again behind the reply, to find
	// validators that do not always say the same; 0 for none.
	RecheckEvery int `config:"recheck_every" default:"1024" limits:"0..1048576"`
}

// Plugins is how the processes of validators are run. The first three are resource limits of one
// process, see setrlimit(2); 0 is no limit.
type Plugins struct {
	// MemoryMiB is the memory that one process may allocate, in MiB (RLIMIT_DATA).
	MemoryMiB int `config:"memory_mib" default:"512" limits:"0..1048576"`
	// Processes is how many processes and threads one process may add to those that its user
	// has at its start (RLIMIT_NPROC).
	Processes int `config:"processes" default:"128" limits:"0..1048576"`
	// OpenFiles is how many files one process may have open (RLIMIT_NOFILE).
	OpenFiles int `config:"open_files" default:"1024" limits:"0..1048576"`
	// ShadowEvery is n where every n-th step that a validator is asked about is judged twice, to find
	// validators that do not always say the same; 0 for none, 1 for all.
	ShadowEvery int `config:"shadow_every" limits:"0..1048576"`
}

// Reload is whether the agent reloads by itself.
type Reload struct {
	// OnChange reloads when the config or the program of a validator has changed.
	OnChange bool `config:"on_change"`
	// Settle is how long the files must be unchanged before that.
	Settle time.Duration `config:"settle" default:"1s" limits:"10ms..1m"`
}

// Stop is how the agent stops.
type Stop struct {
	// Grace is how long a stop waits for the steps in flight.
	Grace time.Duration `config:"grace" default:"5s" limits:"1ms..1h"`
}

// Log is how the agent logs.
type Log struct {
	// Format is auto, tint, text or json; see package logging.
	Format string `config:"format" default:"auto" oneof:"auto,tint,text,json" restart:"needed" flag:"<FORMAT> of the log: auto, tint, text or json"`
	// Level is debug, info, warn or error: the least level that is written.
	Level string `config:"level" default:"info" oneof:"debug,info,warn,error" flag:"lowest <LEVEL> that is logged: debug, info, warn or error"`
}

// Record is whether and where the agent keeps its own record of each step.
type Record struct {
	Enabled bool `config:"enabled"`
	// Dir is the folder, which holds nothing else; record in systemd's StateDirectory for a
	// service that has one.
	Dir string `config:"dir" default:"/var/lib/stepagent/record" check:"folder"`
	// FileMiB is the size at which a file is exchanged for a new one, in MiB; FileAge is the
	// age at which it is.
	FileMiB int           `config:"file_mib" default:"16" limits:"1..1024"`
	FileAge time.Duration `config:"file_age" default:"24h" limits:"1s..8784h"`
	// TotalMiB is the size of all files together, in MiB: the oldest are removed.
	TotalMiB int `config:"total_mib" default:"256" limits:"2..1048576"`
	// Queue is the number of events that may wait to be written; further ones are dropped
	// and counted.
	Queue int `config:"queue" default:"8192" limits:"16..1048576"`
}

// Admin is the unix socket for commands to the running agent.
type Admin struct {
	// Socket is the path of the unix socket; empty to have it chosen from the port.
	Socket string `config:"socket" check:"socket" restart:"needed" flag:"<PATH> of the unix socket for commands such as status and reload (default: chosen from the port)"`
	// Mode is the mode of the socket in octal: "0600" lets the agent's user and root use it,
	// "0660" its group too, "0666" all users of the machine.
	Mode string `config:"mode" default:"0600" oneof:"0600,0660,0666" restart:"needed"`
	// Group is the name or the id of the group of the socket; empty for that of the agent's user.
	Group string `config:"group" check:"group" restart:"needed"`
}

// HTTP is the listener for the page, the API and the metrics.
type HTTP struct {
	// Listen is the address and the port to listen on, port 0 for any free one; empty for no listener.
	// An address that other machines can reach needs TLS.
	Listen string `config:"listen" check:"web"`
	// TLS serves over TLS, with the certificate of [tls].
	TLS bool `config:"tls"`
	// Hosts are the names, beside localhost and loopback addresses, under which browsers may reach
	// the listener, such as that of a proxy.
	Hosts []string `config:"hosts" check:"hosts"`
	// ReadOnly refuses requests that change something.
	ReadOnly bool `config:"read_only"`
	// TokenFile holds the token for requests that change something. The agent makes it where it is
	// missing; http-token in systemd's StateDirectory for a service that has one.
	TokenFile string `config:"token_file" default:"/var/lib/stepagent/http-token" check:"file"`
	// Viewers is the number of viewers of events, such as open pages.
	Viewers int `config:"viewers" default:"32" limits:"1..4096"`
	// Connections is the number of open connections; further ones wait.
	Connections int `config:"connections" default:"128" limits:"2..65536"`
	// HeaderBytes is the size of the longest request header, in bytes.
	HeaderBytes int `config:"header_bytes" default:"16384" limits:"4096..1048576"`
	// RequestTime is how long a request may take to arrive.
	RequestTime time.Duration `config:"request_time" default:"5s" limits:"1ms..1h"`
	// ReplyTime is how long a client may take to accept a reply or an event.
	ReplyTime time.Duration `config:"reply_time" default:"10s" limits:"1ms..1h"`
}

// A Validator names one validator and what to give it.
type Validator struct {
	// Name is the validator's name within its program, such as "sequence".
	Name string `config:"name"`
	// As is its name in this agent, in logs and reports; unique, Name when not set.
	As string `config:"as"`
	// Path is the absolute path of its program; empty for one that is bundled in stepagent.
	// In a file it may be relative to the folder of the file.
	Path string `config:"path"`
	// Checksum is that of the program, such as "sha256:9f86..." with 64 hexadecimal digits;
	// empty for any. Another program is not executed.
	Checksum string `config:"checksum"`
	// Args are the arguments that the program is started with.
	Args []string `config:"args"`
	// Settings is the table of that name as one JSON object, its keys as they were written;
	// nil when there is none.
	Settings []byte `config:"settings"`
}

// Default returns the Config of an agent without file, environment and flags.
func Default() Config {
	var c Config
	agentSchema().setDefaults(&c)
	c.Validators = []Validator{{Name: "sequence", As: "sequence"}, {Name: minTimeout, As: minTimeout}}
	return c
}

// The bundled validators that the agent's own settings touch.
const (
	minTimeout = "min_timeout" // --timeout sets its seconds
	faults     = "faults"      // needs allow_faults
)
