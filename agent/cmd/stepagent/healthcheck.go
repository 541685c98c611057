package main

import (
	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

func newHealthcheck() *cobra.Command {
	live := false
	cmd := &cobra.Command{
		Use: "healthcheck", Short: "check that the running agent judges steps, for containers", Args: cli.NoArgs,
		Long: `healthcheck has a step of its own pass through the listeners, sessions and validators of the running
agent. It ends with 0 when the step is judged, and with 1 when it is not or no agent answers.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			request := daemon.ReadyRequest
			if live {
				request = daemon.LiveRequest
			}
			reply, err := send(cmd, request)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(reply)
			return err
		},
	}
	cmd.Flags().BoolVar(&live, "live", false, "only check that the agent answers")
	addAgent(cmd)
	return cmd
}
