package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/trustedpath"
)

// A NamedFile is a file that the config names, beside programs.
type NamedFile struct {
	// Key is that of the config, such as "tls.key" or "validators[1].settings.token".
	Key string
	// Path is absolute.
	Path string
	// Secret says that no user may read it but root, the agent's and the members of its group.
	Secret bool
}

// NamedFiles returns the files of [tls] and [nats] and those of references. What is wrong with a
// reference is found when it is resolved.
func (l *Loaded) NamedFiles() (files []NamedFile) {
	for _, f := range []NamedFile{{"tls.certificate", l.TLS.Certificate, false}, {"tls.key", l.TLS.Key, true},
		{"tls.client_ca", l.TLS.ClientCA, false}, {"tls.crl", l.TLS.CRL, false},
		{"nats.credentials", l.NATS.Credentials, true}, {"nats.ca", l.NATS.CA, false}, {"nats.cert", l.NATS.Cert, false},
		{"nats.key", l.NATS.Key, true}} {
		if f.Path != "" {
			files = append(files, f)
		}
	}
	files = appendReferences(files, "nats.password", l.NATS.Password)
	for i, v := range l.Validators {
		withReferences(v.Settings, elementPath("validators", i)+".settings", func(key, text string) string {
			files = appendReferences(files, key, text)
			return text
		})
	}
	return files
}

// appendReferences appends the files that the references in a text name.
func appendReferences(files []NamedFile, key, text string) []NamedFile {
	_, _ = expand(text, func(reference string) (string, error) {
		if path, ok := strings.CutPrefix(reference, fileReference); ok && filepath.IsAbs(path) {
			files = append(files, NamedFile{key, path, true})
		}
		return "", nil
	})
	return files
}

// trusted refuses a file that others than root and the agent's user could change, and a secret one that
// every user can read. Other errors are reported by its reader.
func (f NamedFile) trusted() error {
	resolve := trustedpath.Resolve
	if f.Secret {
		resolve = trustedpath.ResolveSecret
	}
	var untrusted *trustedpath.UntrustedError
	if _, err := resolve(f.Path, os.Geteuid()); errors.As(err, &untrusted) {
		return fmt.Errorf("%s is not taken: %w", f.Path, untrusted)
	}
	return nil
}

// CheckNamedFiles refuses named files that others than root and the agent's user could change, and
// secret ones that others can read. That a file is missing is for its reader to say.
func (l *Loaded) CheckNamedFiles() error {
	var problems Problems
	for _, f := range l.NamedFiles() {
		if err := f.trusted(); err != nil {
			problems = append(problems, l.Problem(f.Key, err.Error()))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}
