package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/agent/api"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
)

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "run an agent and a client for half a minute",
		Long: `demo starts an agent on a free loopback port, its validators in a process of their own, and
performs three procedures against it with the client's code: a correct one, one with mistakes,
and one against an agent that misbehaves on purpose. It ends with 0 when all three behaved as
expected. It keeps the records of the runs, the config and the agent's log in a folder and prints
its path.`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, release := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer release()
			dir, err := cmd.Flags().GetString("dir")
			if err != nil {
				return err
			}
			return demo(ctx, dir, cmd.OutOrStdout())
		},
	}
	cmd.Flags().String("dir", "", "keep records, config and log in the new folder `DIR` (default: one in the temporary folder)")
	return cmd
}

func demo(ctx context.Context, dir string, out io.Writer) (err error) {
	dir, err = demoDir(dir)
	if err != nil {
		return err
	}
	agent, err := startDemo(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, agent.close()) }()
	printf := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) } // an error here changes no result
	printf("An agent listens on %s; its validators run in %s.\n", agent.Addr(), processes(agent.Status()))

	failed := 0
	for i, c := range demoCases() {
		printf("\n%d. The procedure %s: %s\n", i+1, c.procedure, c.about)
		problems, err := agent.run(ctx, c, printf)
		if err != nil {
			return fmt.Errorf("the procedure %s: %w", c.procedure, err)
		}
		for _, p := range problems {
			printf("   unexpected: %s\n", p)
		}
		failed += len(problems)
	}
	printf("\nThe records of the runs, the config and the agent's log are in %s\n", dir)
	if failed > 0 {
		return fmt.Errorf("%d steps did not behave as expected", failed)
	}
	printf("All three procedures behaved as expected.\n")
	return nil
}

// demoDir makes the folder for the files of the demonstration.
func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "stepagent-demo-")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", fmt.Errorf("%w; name a folder that does not exist with --dir", err)
	}
	return dir, nil
}

// processes lists the validators' processes.
func processes(s api.Status) string {
	var list []string
	for _, v := range s.Validators {
		list = append(list, fmt.Sprintf("process %d", v.PID))
	}
	return strings.Join(list, ", ")
}
