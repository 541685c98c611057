// Package sdk makes a plugin from validators: a program that the agent starts as a process and calls for
// each step.
//
// A plugin is a main function that calls Serve; see the example of Serve.
//
// The rest of the package is for the agent's side: the handshake, the limits, and the conversion
// between the contract and its gRPC form, which plugins/sdk/proto describes for authors in other
// languages.
package sdk

import (
	"os"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Plugin describes a plugin program.
type Plugin struct {
	// Name and Version are shown in the agent's status and logs.
	Name    string
	Version string
	// Validators holds the validators for configs; at least one, with unique names.
	Validators []Validator
}

// A Validator is one kind of validator that a plugin can make.
type Validator struct {
	// Name is the validator's name in configs.
	Name string
	// Version and Summary are for people; Summary says in one line what it judges.
	Version string
	Summary string
	// New makes one instance. It is called once for each entry of the validator in the config,
	// before any step is judged.
	New validator.Factory
}

// Serve runs the plugin and returns when the agent shuts it down. The main function of a plugin calls
// nothing else. If no agent started the program, Serve prints an error to stderr and exits with 1.
//
// Print nothing to stdout before Serve: the agent reads the handshake there. After it, os.Stdout and
// os.Stderr are both stderr, which the agent copies to its log line by line; if there are too many
// lines, it drops some.
//
// The agent decides when the plugin ends. SIGINT is ignored, and SIGTERM too while the agent lives, so
// that a signal to the process group does not end the plugin before the agent's last steps.
//
// A panic in a validator is written to stderr and makes that verdict undecided. A panic in a goroutine
// that the validator started ends the process; the agent then starts another one and repeats the
// call.
func Serve(p Plugin) {
	stderr := os.Stderr
	stopSignals := obeyAgentOnly()
	defer stopSignals()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: versions(newServer(p, stderr)),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options,
				grpc.MaxRecvMsgSize(MaxMessageBytes), grpc.MaxSendMsgSize(MaxMessageBytes))...)
		},
		// go-plugin logs internals below this level.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: stderr}),
	})
}
