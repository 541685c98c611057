package certificate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// maxFile is the size of the largest file that is read, in bytes. A list of 100,000 revoked
// certificates has about 4 MiB.
const maxFile = 16 << 20

// A FileError is what is wrong with one file.
type FileError struct {
	// Role is the setting that names the file: certificate, key, client_ca or crl of an agent; ca,
	// cert or key of a client.
	Role string
	// Path is the file as the setting names it.
	Path string
	// Problem says what is wrong and what to do.
	Problem string
	// Err is the error of the system, if the file could not be read; else nil.
	Err error
}

func (e *FileError) Error() string { return fmt.Sprintf("%s %s: %s", e.Role, e.Path, e.Problem) }

// Unwrap returns Err.
func (e *FileError) Unwrap() error { return e.Err }

// A reader reads files and collects what is wrong with them.
type reader struct {
	problems []error
	// client says that the files are those of a client, whose user names them at a prompt.
	client bool
	// keyMode is the mode of the file with the key that was read.
	keyMode fs.FileMode
}

func (r *reader) fail(role, path, format string, args ...any) {
	r.problems = append(r.problems, &FileError{Role: role, Path: path, Problem: fmt.Sprintf(format, args...)})
}

// A content is what a file held.
type content struct {
	role, path string
	text       []byte
	mode       fs.FileMode
	changed    time.Time
}

// read reads a whole file; ok is false if that failed, and the problem is then noted.
func (r *reader) read(role, path string) (c content, ok bool) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() && (!r.client || info.IsDir()) { // a client's may be a pipe
		r.fail(role, path, "is not a file; name the file itself")
		return content{}, false
	}
	var text []byte
	if err == nil {
		text, err = readAll(path)
	}
	if err != nil {
		r.problems = append(r.problems, &FileError{role, path, unreadable(path, info, err), err})
		return content{}, false
	}
	switch {
	case len(text) > maxFile:
		r.fail(role, path, "is larger than %d MiB; is it the right file?", maxFile>>20)
	case len(text) == 0:
		r.fail(role, path, "is empty; write it anew, and rename it into its place when it is complete")
	default:
		return content{role, path, text, info.Mode(), info.ModTime()}, true
	}
	return content{}, false
}

// readAll returns the file's content, of a larger one than maxFile a byte more than that.
func readAll(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// unreadable says why a file cannot be read and what to do; info is nil if it could not be found.
func unreadable(path string, info fs.FileInfo, err error) string {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err // the path is named already
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file; correct the path, or put the file there"
	case !errors.Is(err, fs.ErrPermission):
		return err.Error()
	case info == nil:
		return fmt.Sprintf("%v: %s may not enter one of its folders; find it with: namei -l %s", err, userName(), path)
	}
	return fmt.Sprintf("%v: it belongs to %s, its mode is %04o, and this is %s; give it to this user's group "+
		"with: chgrp GROUP %s && chmod 640 %s", err, ownerName(info), info.Mode().Perm(), userName(), path, path)
}

// userName names the user as whom this process reads files.
func userName() string { return lookupUser(os.Geteuid()) }
