package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stepagent/stepagent/agent/internal/shared/trustedpath"
)

// MaxFileBytes is the size of the largest config file that is read, in bytes.
const MaxFileBytes = 128 << 10

// StandardInput is the file name that means Sources.Input.
const StandardInput = "-"

// A content is a file that was read, and its parser.
type content struct {
	file   string // an absolute path, or "standard input"
	data   []byte
	read   parser
	folder string // absolute; paths of validators may be relative to it

	mayBeEmpty bool
	keyless    bool // it has comments only; known once it is parsed
}

// absolute returns the absolute path of a file.
func absolute(file string) (string, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("the working directory is not known, give an absolute path: %w", err)
	}
	return path, nil
}

// openAll reads the file that the sources name and its snippets; later ones override earlier ones.
// If the file cannot be read it returns none. Standard input has no snippets.
func openAll(s Sources) (contents []*content, problems Problems) {
	c, err := open(s)
	if err != nil {
		return nil, Problems{{Place: Place{File: c.file}, Message: err.Error()}}
	}
	contents = []*content{c}
	if s.File == StandardInput {
		return contents, nil
	}
	files, err := snippets(c.file)
	if err != nil {
		problems = Problems{{Place: Place{File: SnippetDir(c.file)}, Message: err.Error()}}
	}
	for _, file := range files {
		c, err := open(Sources{File: file, AnyOwner: s.AnyOwner})
		if err != nil {
			problems = append(problems, Problem{Place: Place{File: c.file}, Message: err.Error()})
			continue
		}
		contents = append(contents, c)
	}
	return contents, problems
}

// open reads the file that the sources name. The content has its path even with an error.
func open(s Sources) (*content, error) {
	c := &content{file: s.File}
	if s.File == StandardInput {
		c.file = "standard input"
		return c, c.openInput(s)
	}
	path, err := absolute(s.File)
	if err != nil {
		return c, err
	}
	c.file, c.folder = path, filepath.Dir(path)
	return c, c.open(s.Format, s.AnyOwner)
}

// open reads the file, which may be a pipe if a format is given.
func (c *content) open(format string, anyOwner bool) (err error) {
	if c.read, err = parserFor(c.file, format); err != nil {
		return err
	}
	if !anyOwner {
		if err := trusted(c.file); err != nil {
			return err
		}
	}
	c.data, err = readFile(c.file, configFile(), format != "")
	return err
}

func (c *content) openInput(s Sources) (err error) {
	if s.Input == nil {
		return errors.New("is read by check-config alone; name a file")
	}
	if c.read, err = parserFor("", s.Format); err != nil {
		return err
	}
	if c.folder, err = absolute("."); err != nil {
		return err
	}
	c.data, err = readAll(s.Input, configFile())
	return err
}

// trusted refuses a file that others than root and the agent's user could change: the agent executes
// what it names.
func trusted(path string) error {
	var untrusted *trustedpath.UntrustedError
	if _, err := trustedpath.Resolve(path, os.Geteuid()); errors.As(err, &untrusted) {
		return fmt.Errorf("is not taken, as the agent executes what it names: %w", untrusted)
	}
	return nil // other errors are reported by the open
}

// A fileKind is what is read from a file.
type fileKind struct {
	maxBytes int
	// irregular and large end the errors about a file that is none, or is larger than maxBytes.
	irregular, large string
}

// configFile is the kind of config files.
func configFile() fileKind {
	return fileKind{MaxFileBytes, "; give the path of a config file", "; is it a config?"}
}

// errNoFile is the error for a file that is missing.
var errNoFile = errors.New("there is no such file")

func readFile(file string, kind fileKind, pipes bool) ([]byte, error) {
	data, err := readRegular(file, kind, pipes)
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errNoFile
	case errors.As(err, &path):
		return nil, fmt.Errorf("cannot be read: %w", path.Err)
	}
	return data, err
}

// readRegular reads a file and refuses a pipe, which could block, unless pipes is set.
func readRegular(file string, kind fileKind, pipes bool) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && (!pipes || info.IsDir()) {
		return nil, errors.New("is not a regular file" + kind.irregular)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return readAll(f, kind)
}

// readAll reads at most one byte more than the kind may have.
func readAll(from io.Reader, kind fileKind) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(from, int64(kind.maxBytes)+1))
	if err == nil && len(data) > kind.maxBytes {
		return nil, fmt.Errorf("is larger than %d bytes%s", kind.maxBytes, kind.large)
	}
	return data, err
}
