// Package config reads what the agent is told to do.
//
// A Config comes from four places: flags over the environment over a file, TOML or YAML,
// over Default. Load reads them strictly, merges them and checks the result; whatever is
// wrong is reported at once, each Problem with the place where it was written. A Config is
// a plain value: nothing in this package runs, watches or remembers after Load returns.
//
// configs/ in the project holds a commented sample of each format.
package config

import (
	"time"

	"github.com/stepagent/stepagent/agent/protocol"
)

// A Config is all that can be set about the agent. The tag of a field is its key in the
// file; every key but those of the lists and tables at the end has an environment variable
// too, such as STEPAGENT_SESSION_IDLE_TIMEOUT.
type Config struct {
	// Host is the address or the host name to listen on, without a port.
	Host string `config:"host"`
	// Port is the TCP port to listen on, 0 for any free one.
	Port int `config:"port"`
	// Allow says whom the agent serves, by source address: addresses, prefixes, and the
	// words loopback, private, link-local and all.
	Allow []string `config:"allow"`
	// AllowFaults lets validators make the agent misbehave on purpose.
	AllowFaults bool `config:"allow_faults"`

	Session Session `config:"session"`
	Limits  Limits  `config:"limits"`
	Judging Judging `config:"judging"`
	Plugins Plugins `config:"plugins"`
	Reload  Reload  `config:"reload"`
	Stop    Stop    `config:"stop"`
	Log     Log     `config:"log"`
	Record  Record  `config:"record"`
	Admin   Admin   `config:"admin"`

	// ErrorCodes gives reasons an error_code of their own in replies, never 0. A reason
	// that is not in it has the code 1.
	ErrorCodes map[protocol.Reason]int `config:"error_codes"`
	// Validators judge every step, in this order.
	Validators []Validator `config:"validators"`
}

// Session says when a session begins, is taken up again and ends.
type Session struct {
	// Steps is the number of judged steps after which a session ends.
	Steps int `config:"steps"`
	// IdleTimeout is how long a session may have no step before it is closed as incomplete,
	// an interval that the client declared not counted. An idle connection is closed after
	// the same time.
	IdleTimeout time.Duration `config:"idle_timeout"`
	// ResumeWindow is how long a session stays open when its connection closes in
	// mid-procedure, counted from the end of the declared interval if that is later.
	ResumeWindow time.Duration `config:"resume_window"`
	// LongestInterval is how long a declared interval keeps a session whose connection has
	// closed, counted from the close.
	LongestInterval time.Duration `config:"longest_interval"`
	// TakeoverWait is how long the first step of a connection that names no session waits
	// while it is not clear which session of its address it goes on with.
	TakeoverWait time.Duration `config:"takeover_wait"`
	// RememberedReplies is the number of replies kept for each session name, to answer a
	// repeated req.
	RememberedReplies int `config:"remembered_replies"`
}

// Limits bound what clients can make the agent hold.
type Limits struct {
	// Connections is the number of open connections in all.
	Connections int `config:"connections"`
	// ConnectionsPerAddress is the number of open connections from one IP address; that of
	// Connections when only Connections is set, and lower.
	ConnectionsPerAddress int `config:"connections_per_address"`
	// MessageBytes is the length of the longest message, in bytes.
	MessageBytes int `config:"message_bytes"`
	// MessageTime is how long one message may take to arrive, counted from its first byte.
	MessageTime time.Duration `config:"message_time"`
	// ReplyTime is how long a client may take to accept one reply.
	ReplyTime time.Duration `config:"reply_time"`
	// PipelinedMessages is the number of replies that one connection may be owed.
	PipelinedMessages int `config:"pipelined_messages"`
	// Sessions is the number of open sessions in all.
	Sessions int `config:"sessions"`
	// SessionsPerAddress is the number of open sessions that one IP address may have begun;
	// that of Sessions when only Sessions is set, and lower.
	SessionsPerAddress int `config:"sessions_per_address"`
	// RememberedBytes is the memory, in bytes, for the replies kept for repeated requests, of
	// all names together. Past it the names whose sessions ended longest ago lose theirs.
	RememberedBytes int `config:"remembered_bytes"`
}

// Judging bounds the time in which a step is judged: the timeout that the client declared,
// but no less than Floor and no more than Cap. Past that the step is undecided.
type Judging struct {
	Floor time.Duration `config:"floor"`
	Cap   time.Duration `config:"cap"`
	// KeptMiB is the memory, in MiB, for verdicts that are kept, so that a validator which has
	// declared what it reads is not asked the same twice; 0 keeps none.
	KeptMiB int `config:"kept_mib"`
	// RecheckEvery is n where every n-th kept verdict is judged again behind the reply, to find
	// validators that do not always say the same; 0 for none.
	RecheckEvery int `config:"recheck_every"`
}

// Plugins says how the processes of validators are run. The first three bound what one of
// them may take of the machine, see setrlimit(2); 0 is no limit.
type Plugins struct {
	// MemoryMiB is the memory that one process may allocate, in MiB (RLIMIT_DATA).
	MemoryMiB int `config:"memory_mib"`
	// Processes is how many processes and threads one process may add to those that its user
	// has at its start (RLIMIT_NPROC).
	Processes int `config:"processes"`
	// OpenFiles is how many files one process may have open (RLIMIT_NOFILE).
	OpenFiles int `config:"open_files"`
	// ShadowEvery is n where every n-th step that a validator is asked about is judged twice, to find
	// validators that do not always say the same; 0 for none, 1 for all.
	ShadowEvery int `config:"shadow_every"`
}

// Reload says whether the agent reloads by itself.
type Reload struct {
	// OnChange has it reload when its config or the program of a validator has changed.
	OnChange bool `config:"on_change"`
	// Settle is how long nothing more may have changed before that.
	Settle time.Duration `config:"settle"`
}

// Stop says how the agent stops.
type Stop struct {
	// Grace is how long a stop waits for the steps in flight.
	Grace time.Duration `config:"grace"`
}

// Log says how the agent logs.
type Log struct {
	// Format is auto, tint, text or json; see package logging.
	Format string `config:"format"`
	// Level is debug, info, warn or error: the least level that is written.
	Level string `config:"level"`
}

// Record says whether and where the agent writes down what it did with each step.
type Record struct {
	Enabled bool `config:"enabled"`
	// Dir is the folder, which holds nothing else; record in systemd's StateDirectory for a
	// service that has one.
	Dir string `config:"dir"`
	// FileMiB is the size at which a file is exchanged for a new one, in MiB; FileAge is the
	// age at which it is.
	FileMiB int           `config:"file_mib"`
	FileAge time.Duration `config:"file_age"`
	// TotalMiB is the size of all files together, in MiB: the oldest are removed.
	TotalMiB int `config:"total_mib"`
	// Queue is the number of events that may wait to be written; further ones are dropped
	// and counted.
	Queue int `config:"queue"`
}

// Admin says where the running agent is asked for its state.
type Admin struct {
	// Socket is the path of the unix socket; empty to have it chosen from the port.
	Socket string `config:"socket"`
	// Mode is the mode of the socket in octal: "0600" lets the agent's user and root use it,
	// "0660" its group too, "0666" everybody on the machine.
	Mode string `config:"mode"`
	// Group is the name or the id of the group of the socket; empty for that of the agent's user.
	Group string `config:"group"`
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

// Default returns the Config of an agent that was told nothing.
func Default() Config {
	return Config{
		Host:  "localhost",
		Port:  8080,
		Allow: []string{"loopback", "private", "link-local"},
		Session: Session{
			Steps:             10,
			IdleTimeout:       5 * time.Minute,
			ResumeWindow:      time.Minute,
			LongestInterval:   time.Hour,
			TakeoverWait:      250 * time.Millisecond,
			RememberedReplies: 64,
		},
		Limits: Limits{
			Connections:           16384,
			ConnectionsPerAddress: 8192,
			MessageBytes:          protocol.DefaultMaxMessageBytes,
			MessageTime:           5 * time.Second,
			ReplyTime:             5 * time.Second,
			PipelinedMessages:     1024,
			Sessions:              16384,
			SessionsPerAddress:    8192,
			RememberedBytes:       64 << 20,
		},
		Judging: Judging{Floor: time.Second, Cap: 30 * time.Second, KeptMiB: 4, RecheckEvery: 1024},
		Plugins: Plugins{MemoryMiB: 512, Processes: 128, OpenFiles: 1024},
		Reload:  Reload{Settle: time.Second},
		Stop:    Stop{Grace: 5 * time.Second},
		Log:     Log{Format: "auto", Level: "info"},
		Record: Record{Dir: "/var/lib/stepagent/record", FileMiB: 16, FileAge: 24 * time.Hour,
			TotalMiB: 256, Queue: 8192},
		Admin: Admin{Mode: "0600"},
		Validators: []Validator{
			{Name: "sequence", As: "sequence"},
			{Name: minTimeout, As: minTimeout},
		},
	}
}

// The bundled validators that the agent's own settings touch.
const (
	minTimeout = "min_timeout" // --timeout sets its seconds
	faults     = "faults"      // needs allow_faults
)
