// Package spool keeps the lines of runs that a database could not take, in files beside, until it can.
//
// A file belongs to one run: a line that says which, and to which database it goes, then lines of the
// record as they are. The program that writes a file holds its lock, so that no other takes it in
// meanwhile. A file is removed after its lines were committed, and not before.
package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/stepagent/stepagent/agent/internal/shared/outfile"
)

// format is the version of the files that this package writes and reads.
const format = 1

// Limits of a file.
const (
	// MaxFileBytes is the size of the largest file that is read.
	MaxFileBytes = 256 << 20
	// maxHeaderBytes is the length of the longest first line.
	maxHeaderBytes = 1 << 20
)

// ending is that of the files' names.
const ending = ".spool"

// A Header is the first line of a file.
type Header struct {
	Format int `json:"spool"`
	// Place names the database that the lines are for, without a password.
	Place string `json:"place"`
	// Run is the id of the run, First the number of the first line of its record in this file.
	Run   string `json:"run"`
	First int64  `json:"first"`
	// Meta is what else the database stores of the run.
	Meta jsontext.Value `json:"meta"`
}

// Folder returns the default folder for files that wait: stepctl in $XDG_STATE_HOME, which is
// ~/.local/state unless it is set.
func Folder() (string, error) {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "stepctl"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", errors.New("there is no folder for events that wait for the database; set XDG_STATE_HOME")
	}
	return filepath.Join(home, ".local", "state", "stepctl"), nil
}

// A File is a file that is written. It is not safe for concurrent use.
type File struct {
	file *outfile.File
	path string
}

// Create creates a file in the folder, which it makes for its user alone.
func Create(folder string, h Header) (*File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep events for the database: %w", err)
	}
	h.Format = format
	line, err := json.Marshal(h, json.Deterministic(true))
	switch {
	case err != nil:
		return nil, err
	case h.Run == "" || filepath.Base(h.Run) != h.Run:
		return nil, fmt.Errorf("%q is no id of a run", h.Run)
	case len(line) >= maxHeaderBytes:
		return nil, errors.New("the labels of the run are too long")
	}
	path := freeName(folder, fmt.Sprintf("%s-%07d", h.Run, h.First))
	file, err := outfile.Create(path)
	if err != nil {
		return nil, err
	}
	f := &File{file: file, path: path}
	if _, err := f.Append(append(line, '\n')); err != nil {
		_ = file.Close() // Append has failed
		return nil, errors.Join(err, os.Remove(path))
	}
	return f, nil
}

// freeName returns a name that no file has: a file of the same lines may have failed.
func freeName(folder, name string) string {
	for n := 1; ; n++ {
		path := filepath.Join(folder, fmt.Sprintf("%s-%d%s", name, n, ending))
		if _, err := os.Lstat(path); err != nil {
			return path
		}
	}
}

// Path returns the name of the file.
func (f *File) Path() string { return f.path }

// Append writes lines to the file. It returns the length of the whole lines that the file has taken. After an
// error the file must be closed, since it may end with a part of the line that follows these; Read leaves that
// out.
func (f *File) Append(lines []byte) (int, error) {
	n, err := f.file.Write(lines)
	if err != nil {
		return bytes.LastIndexByte(lines[:n], '\n') + 1, fmt.Errorf("cannot keep events for the database: %w", err)
	}
	return n, nil
}

// Close makes the file durable and lets others take it in.
func (f *File) Close() error { return f.file.Close() }

// List returns the files in a folder, those of one run in order. A folder that does not exist has
// none.
func List(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var paths []string
	for _, entry := range entries {
		if entry.Type().IsRegular() && strings.HasSuffix(entry.Name(), ending) {
			paths = append(paths, filepath.Join(folder, entry.Name()))
		}
	}
	slices.Sort(paths)
	return paths, err
}

// Take locks the file at path and calls store with its content. It removes the file if store
// succeeds. It returns outfile.ErrLocked if the file is being written, and an error that wraps
// fs.ErrNotExist if another program has taken it in.
func Take(path string, store func(Header, []byte) error) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0) // some systems lock only what can be written
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := outfile.Lock(file); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(named, opened) {
		return fmt.Errorf("%s was taken in by another program: %w", path, fs.ErrNotExist)
	}
	h, lines, err := Read(file, path)
	if err == nil {
		err = store(h, lines)
	}
	if err != nil {
		return err
	}
	return os.Remove(path)
}

// Read reads a file to its end. A last line without its newline, which a crash has cut, is left out.
// Errors begin with the name.
func Read(r io.Reader, name string) (Header, []byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, MaxFileBytes+1))
	if err != nil {
		return Header{}, nil, err
	}
	if len(raw) > MaxFileBytes {
		return Header{}, nil, fmt.Errorf("%s: larger than %d MiB", name, MaxFileBytes>>20)
	}
	head, lines, found := strings.Cut(string(raw), "\n")
	if !found || len(head) >= maxHeaderBytes {
		return Header{}, nil, fmt.Errorf("%s: the first line is cut; the file has no events", name)
	}
	var h Header
	if err := json.Unmarshal([]byte(head), &h, json.RejectUnknownMembers(true)); err != nil {
		return Header{}, nil, fmt.Errorf("%s:1: not the first line of events that wait: %w", name, err)
	}
	switch {
	case h.Format != format:
		return Header{}, nil, fmt.Errorf("%s: format %d is not known, this program reads format %d", name, h.Format, format)
	case h.First < 1 || h.Run == "" || h.Place == "":
		return Header{}, nil, fmt.Errorf("%s:1: run, place or first is missing", name)
	}
	return h, []byte(lines[:strings.LastIndexByte(lines, '\n')+1]), nil
}
