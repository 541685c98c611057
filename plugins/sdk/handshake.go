package sdk

import (
	"context"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// ProtocolVersion is the version of the plugin contract in this package: the "v1"
// in stepagent.validator.v1. A plugin of another version is refused at its start.
const ProtocolVersion = 1

// Handshake returns the cookie by which a plugin knows that an agent started it. It is not a secret and
// protects nothing.
func Handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{
		MagicCookieKey:   "STEPAGENT_PLUGIN",
		MagicCookieValue: "8e1c0a5d-step-by-step",
	}
}

// Versions returns the versions that the agent offers in the handshake.
func Versions() map[int]goplugin.PluginSet { return versions(nil) }

func versions(s validatorv1.ValidatorServiceServer) map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{ProtocolVersion: {"validator": &grpcPlugin{server: s}}}
}

// grpcPlugin is the service as a plugin of go-plugin.
type grpcPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	server validatorv1.ValidatorServiceServer
}

// GRPCServer is called in the plugin's process.
func (p *grpcPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	validatorv1.RegisterValidatorServiceServer(s, p.server)
	return nil
}

// GRPCClient is called in the agent's process.
func (p *grpcPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return validatorv1.NewValidatorServiceClient(c), nil
}
