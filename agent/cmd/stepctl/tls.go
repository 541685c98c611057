package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stepagent/stepagent/agent/internal/shared/certificate"
	"github.com/stepagent/stepagent/agent/internal/shared/config"
	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// tlsHelp is part of the help of the commands that connect to agents.
const tlsHelp = `
With --tls the connection is over TLS, and the agent's certificate must be valid, from a CA of --ca,
and for the host. --cert and --key identify this client. A connection that either side refuses ends
the command with 3, and a sentence says whose certificate it was and why.`

// tlsFlags returns the flags of connections over TLS.
func tlsFlags() []string { return []string{"tls", "ca", "cert", "key", "server-name", "keylog"} }

// A secured says how a command secures its connections.
type secured struct {
	settings config.Client
	// config is nil for plain TCP.
	config *tls.Config
	keylog *os.File // nil for none
}

// openTLS reads the files of the settings. The caller must close the result.
func openTLS(cmd *cobra.Command, settings config.Client) (secured, error) {
	if !settings.TLS {
		// What is in the settings file or in a variable waits until it is wanted.
		if i := slices.IndexFunc(tlsFlags()[1:], cmd.Flags().Changed); i >= 0 {
			return secured{}, fmt.Errorf("--%s is for connections over TLS; add --tls", tlsFlags()[i+1])
		}
		return secured{}, nil
	}
	switch {
	case settings.Cert != "" && settings.Key == "":
		return secured{}, errors.New("a certificate is of no use without its key; give --key as well as --cert")
	case settings.Key != "" && settings.Cert == "":
		return secured{}, errors.New("a key is of no use without its certificate; give --cert as well as --key")
	}
	s := secured{settings: settings}
	var err error
	if s.config, err = s.load(); err != nil {
		return secured{}, &exitError{exitUsage, err}
	}
	if settings.KeyLog == "" {
		return s, nil
	}
	if s.keylog, err = outfile.OpenSecret(settings.KeyLog); err != nil {
		return secured{}, &exitError{exitEvidence, fmt.Errorf("cannot write the keys of the connections: %w", err)}
	}
	s.config.KeyLogWriter = s.keylog
	return s, nil
}

// load reads the certificates and the key.
func (s *secured) load() (*tls.Config, error) {
	config, err := certificate.LoadClient(certificate.ClientSource{
		CA: s.settings.CA, Certificate: s.settings.Cert, Key: s.settings.Key, ServerName: s.settings.ServerName})
	if err == nil && s.keylog != nil {
		config.KeyLogWriter = s.keylog
	}
	return config, err
}

// reload reads the files again, which may have been renewed; nil for plain TCP. It is safe for
// concurrent use.
func (s *secured) reload(logger *slog.Logger) *tls.Config {
	if s.config == nil {
		return nil
	}
	config, err := s.load()
	if err != nil {
		logger.Warn("the certificates cannot be read again; those that were read before count", "err", err)
		return s.config
	}
	return config
}

// keylogPath returns the file with the keys; empty for none.
func (s *secured) keylogPath() string {
	if s.keylog == nil {
		return ""
	}
	return s.settings.KeyLog
}

// keylogWarning is logged with the name of the file.
const keylogWarning = "the keys of the connections are written to a file; its readers can decrypt a capture of them"

// warn logs that keys are written.
func (s *secured) warn(logger *slog.Logger) {
	if s.keylog != nil {
		logger.Warn(keylogWarning, "file", s.settings.KeyLog)
	}
}

// close closes the file with the keys. Each write to it was checked: a handshake fails with it.
func (s *secured) close() {
	if s.keylog != nil {
		_ = s.keylog.Close()
	}
}
