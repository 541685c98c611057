// Package sdk makes a program out of validators: a plugin that the agent starts as a process
// of its own and asks about steps.
//
// A plugin is a main function that calls Serve; the example of Serve is a whole one.
//
// The rest of the package is for the agent's side of the process border: the handshake, the
// limits and the conversion between the contract and its gRPC form, which
// plugins/sdk/proto describes for authors in other languages.
package sdk

import (
	"os"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/stepagent/stepagent/plugins/validator"
)

// A Plugin is what one plugin program has to offer.
type Plugin struct {
	// Name and Version are for people: they stand in the agent's status and logs.
	Name    string
	Version string
	// Validators are the validators that a config may ask for; at least one, each with a
	// name of its own.
	Validators []Validator
}

// A Validator is one kind of validator that a plugin can make.
type Validator struct {
	// Name is the name by which a config asks for the validator.
	Name string
	// Version and Summary, one line that says what it judges, are for people.
	Version string
	Summary string
	// New makes one instance. It is called once for each time that the validator stands in
	// the config, before any step is judged.
	New validator.Factory
}

// Serve runs the plugin and returns when the agent has told it to end. It is all that the
// main function of a plugin does. A program that was not started by an agent, so a plugin
// run by hand, is told so on stderr and ends with status 1.
//
// Print nothing to stdout before Serve: the agent reads its handshake there. From then on
// os.Stdout and os.Stderr both lead to stderr, which the agent copies to its log line by
// line; where there are too many lines some are left out.
//
// The life of a plugin is the agent's to end. So that a signal to a whole group of processes
// does not take the validators away while the agent still has steps to judge, SIGINT is
// ignored, and SIGTERM is too as long as the agent lives.
//
// A panic in a validator is written to stderr and makes that one verdict undecided. A panic
// in a goroutine that the validator started ends the process; the agent then starts another
// and asks again.
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
		// What go-plugin logs below this level is of no use to people.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: stderr}),
	})
}
