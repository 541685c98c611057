package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/client/htmlkit"
	"github.com/stepagent/stepagent/agent/internal/client/web"
	"github.com/stepagent/stepagent/agent/internal/shared/cli"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/logging"
	"github.com/stepagent/stepagent/agent/internal/shared/weblistener"
)

// Limits of the page's listener.
const (
	webAddress     = "127.0.0.1:8082"
	webConnections = 64
	webHeaderBytes = 16 << 10
	webTime        = 30 * time.Second // for a request to arrive, and for a reply to be accepted
	webCloseTime   = 2 * time.Second
)

// webFlags is the command line of stepctl web.
type webFlags struct{ listen string }

func newWeb() *cobra.Command {
	var flags webFlags
	cmd := &cobra.Command{
		Use:   "web",
		Short: "serve a local page that shows a database in a browser",
		Long: `web serves a page for browsers of this machine: runs as a grid of procedures by time, the trend of
each step, comparisons, the queue with the progress of workers, and the report of each run. New rows
appear by themselves. The page loads nothing from elsewhere, and changes nothing in the database.

The page has no login. It is served on a loopback address only; from another machine, reach it
through SSH: ssh -L 8082:127.0.0.1:8082 HOST
` + databaseHelp + `
Without --lang the page is in the language of the browser, English or Korean.

Exit codes:
  0  the page was served until an interrupt or SIGTERM
  2  the database or the address cannot be used, or the command line is wrong`,
		Example: `  stepctl web --db runs.db
  stepctl web --db postgres://stepctl@db/stepctl --listen 127.0.0.1:9000 --lang ko`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return flags.serve(cmd) },
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&flags.listen, "listen", webAddress, "loopback `ADDRESS` and port of the page; port 0 for a free one")
	addSettings(cmd, "db", "lang")
	return cmd
}

// serve serves the page until a signal.
func (f *webFlags) serve(cmd *cobra.Command) error {
	if err := checkLoopback(f.listen); err != nil {
		return err
	}
	settings, err := loadSettings(cmd)
	if err != nil {
		return err
	}
	ctx, release := interruptible(cmd)
	defer release()
	db, err := openDatabase(ctx, settings.Client, reading)
	if err != nil {
		return err
	}
	if err := db.Close(); err != nil { // the page opens it when it is needed
		return reading.exit(ctx, err)
	}
	site, err := web.New(settings.DB, chosenLanguage(settings))
	if err != nil {
		return err
	}
	err = f.listenAndServe(ctx, cmd, site)
	return errors.Join(err, reading.exit(ctx, site.Close()))
}

func (f *webFlags) listenAndServe(ctx context.Context, cmd *cobra.Command, site *web.Site) error {
	log, err := logging.New(cmd.ErrOrStderr(), logging.Options{})
	if err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", f.listen)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("cannot serve the page: %w; name another address with --listen", err)}
	}
	server := weblistener.Serve(listener.(*net.TCPListener), site, weblistener.Options{
		HostAdvice: "use localhost", ReadOnly: "the page changes nothing", Connections: webConnections,
		HeaderBytes: webHeaderBytes, RequestTime: webTime, ReplyTime: webTime,
	}, log)
	defer server.Close(webCloseTime)
	if _, err := fmt.Fprintf(cmd.OutOrStdout(), "http://%s/\n", server.Addr()); err != nil {
		return written(err)
	}
	<-ctx.Done()
	return nil
}

// checkLoopback refuses addresses that other machines can reach.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return cli.Usagef("--listen: %q is no address with a port, such as %s", address, webAddress)
	}
	if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.IsLoopback()) {
		return cli.Usagef("--listen: %s is no loopback address, and the page has neither a login nor TLS; use %s, and ssh -L from other machines",
			address, webAddress)
	}
	return nil
}

// chosenLanguage returns the language in the settings; empty where it is the default.
func chosenLanguage(settings *config.LoadedClient) htmlkit.Language {
	for _, s := range settings.Settings {
		if s.Key == "lang" && s.From == "default" {
			return ""
		}
	}
	return htmlkit.Language(settings.Lang)
}
