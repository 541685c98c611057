package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// MaxFileBytes is the size of the largest config file that is read, in bytes.
const MaxFileBytes = 128 << 10

// A content is what was read of a file, and how to go on with it.
type content struct {
	file   string // as it was named to Load, or in SnippetDir of that
	data   []byte
	read   parser
	folder string // absolute; the paths of validators may be relative to it
}

func open(file string) (*content, error) {
	read, err := parserFor(file)
	if err != nil {
		return nil, err
	}
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("the working directory is not known, give an absolute path: %w", err)
	}
	return &content{file, data, read, folder}, nil
}

// openAll opens a config file and its snippets, in the order in which they count.
func openAll(file string) (contents []*content, problems Problems) {
	files, err := snippets(file)
	if err != nil {
		problems = Problems{{Place: Place{File: SnippetDir(file)}, Message: err.Error()}}
	}
	for _, file := range append([]string{file}, files...) {
		c, err := open(file)
		if err != nil {
			problems = append(problems, Problem{Place: Place{File: file}, Message: err.Error()})
			continue
		}
		contents = append(contents, c)
	}
	return contents, problems
}

func readFile(file string) ([]byte, error) {
	data, err := readRegular(file)
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errors.New("there is no such file")
	case errors.As(err, &path):
		return nil, fmt.Errorf("cannot be read: %w", path.Err)
	case err != nil:
		return nil, err
	case len(data) > MaxFileBytes:
		return nil, fmt.Errorf("is larger than %d bytes; is it a config?", MaxFileBytes)
	}
	return data, nil
}

// readRegular reads no more than it must to see that a file is too large, and does not wait
// on a pipe.
func readRegular(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file; give the path of a config file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
}
