package weblistener

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stepagent/stepagent/agent/internal/shared/trustedpath"
)

const (
	minTokenBytes = 16
	maxTokenBytes = 256
)

// Token returns the token in a file. It makes the file where there is none, readable by this user alone.
// It refuses one that others can read or change.
func Token(path string) (string, error) {
	if err := makeToken(path); err != nil && !errors.Is(err, fs.ErrExist) {
		var cause *fs.PathError // which names a temporary file
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return "", fmt.Errorf("%s cannot be made: %w; make its folder for the agent's user", path, err)
	}
	if _, err := trustedpath.Resolve(path, os.Geteuid()); err != nil {
		return "", err
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }() // was read only
	info, err := file.Stat()
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is no file", path)
	case info.Mode().Perm()&0o037 != 0:
		return "", fmt.Errorf("%s may be read or changed by others (mode %#o); remove it for a new token, as this one may be known", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, maxTokenBytes+1))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minTokenBytes || len(text) > maxTokenBytes || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds no token: %d to %d printable ASCII characters without spaces; remove it for a new one", path, minTokenBytes, maxTokenBytes)
	}
	return token, nil
}

// makeToken makes a file with a token. The token is in it before it has its name.
func makeToken(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".http-token-*") // with mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(rand.Text() + "\n")
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
