package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/daemon"
	"github.com/stepagent/stepagent/agent/internal/agent/sessionstore/natsstore"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
)

func newCreateBucket() *cobra.Command {
	o := natsstore.CreateOptions{TTL: natsstore.DefaultTTL}
	var mebibytes int64
	cmd := &cobra.Command{
		Use: "create-bucket", Short: "create the bucket of NATS in which agents share sessions", Args: cli.NoArgs,
		Long: `create-bucket creates the bucket session.bucket in NATS for agents with session.store = "nats". It is
needed once for all agents. It reads [nats] of the config; the user needs the right to create streams,
which the users of boards do not need. A bucket that exists stays as it is.

Three replicas on servers in three places keep sessions when one of them is lost. Servers acknowledge
before they sync their disk unless their config says sync_interval: always.

` + precedence,
		Example: `  stepagent create-bucket --config /etc/stepagent/stepagent.toml --replicas 3
  STEPAGENT_NATS_CREDENTIALS=admin.creds stepagent create-bucket --replicas 3 --max-mib 512`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case o.Replicas < 1 || o.Replicas > 5:
				return cli.Usagef("--replicas is %d; write 1 to 5", o.Replicas)
			case o.TTL < natsstore.LeastTTL:
				return cli.Usagef("--ttl is %v; write %v or more", o.TTL, natsstore.LeastTTL)
			case mebibytes < 0 || mebibytes > 1<<30:
				return cli.Usagef("--max-mib is %d; write 0 to %d", mebibytes, 1<<30)
			}
			c, err := config.Load(sources(cmd))
			if err != nil {
				return err
			}
			o.MaxBytes = mebibytes << 20
			existed, err := daemon.CreateBucket(cmd.Context(), c, o)
			if err != nil {
				return err
			}
			format := "created the bucket %s with %d replicas\n"
			if existed {
				format = "the bucket %s exists already with these settings and %d replicas\n"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), format, c.Session.Bucket, o.Replicas)
			return err
		},
	}
	addSettings(cmd)
	cmd.Flags().IntVar(&o.Replicas, "replicas", 1, "`NUMBER` of servers that have the bucket, 1 to 5")
	cmd.Flags().DurationVar(&o.TTL, "ttl", o.TTL, "`TIME` after which a session without a step is removed")
	cmd.Flags().Int64Var(&mebibytes, "max-mib", 0, "size of the bucket in `MIB`, 0 for no limit; a full bucket refuses steps")
	return cmd
}
