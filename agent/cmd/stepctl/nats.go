package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/natsconn"
)

// natsHelp is part of the help of the commands that need NATS.
const natsHelp = `
NATS is that of --nats-url, of the variable STEPCTL_NATS_URL, or of the key nats_url in the settings
file. The user has --nats-credentials, or --nats-user and --nats-password, or a certificate with
--nats-cert and --nats-key. --fleet is the name that the agents have in their config, "default" unless
it was changed.`

// natsFlags returns the flags of connections to NATS.
func natsFlags() []string {
	return []string{"nats-url", "nats-credentials", "nats-user", "nats-password", "nats-ca", "nats-cert", "nats-key", "fleet"}
}

// openNATS begins to connect to NATS. The error has the exit code. The caller must close the connection.
func openNATS(settings config.Client, log *slog.Logger) (*natsconn.Conn, error) {
	switch {
	case len(settings.NATSServers()) == 0:
		return nil, errors.New("no NATS server is named; give --nats-url nats://HOST:4222, or set STEPCTL_NATS_URL")
	case (settings.NATSCert == "") != (settings.NATSKey == ""):
		return nil, errors.New("a certificate and its key are of use together; give both --nats-cert and --nats-key")
	case (settings.NATSUser == "") != (settings.NATSPassword == ""):
		return nil, errors.New("a user and a password are of use together; give both --nats-user and --nats-password")
	}
	password, err := settings.NATSSecret()
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	conn, err := natsconn.Connect(natsconn.Options{
		URLs: settings.NATSServers(), Credentials: settings.NATSCredentials, User: settings.NATSUser, Password: password,
		CA: settings.NATSCA, Cert: settings.NATSCert, Key: settings.NATSKey, Name: "stepctl on " + hostName(), Log: log,
	})
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	return conn, nil
}

// awaitNATS waits until there is a connection. The error has the exit code.
func awaitNATS(ctx context.Context, conn *natsconn.Conn, patience time.Duration) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !conn.Connected(); {
		select {
		case <-ctx.Done():
			return &exitError{exitFailed, errors.New("interrupted")}
		case <-look.C:
		}
		if time.Now().After(end) {
			return &exitError{exitUnreachable, fmt.Errorf("cannot reach NATS: %s", conn.Status())}
		}
	}
	return nil
}
