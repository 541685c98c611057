package outfile

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// tempPrefix begins the names of temporary files, which end with random text.
const tempPrefix = ".stepctl-"

// Probe checks whether Replace can write a file at path, before the work that leads to it.
func Probe(path string) error {
	at, foreign, err := Resolve(path)
	if err != nil {
		return err
	}
	old, err := os.Stat(at)
	switch {
	case err == nil && old.IsDir():
		return errors.New("it is a folder; name a file")
	case err == nil && !old.Mode().IsRegular():
		return nil // opening a pipe may have an effect on its reader
	}
	p, err := newTempFile(at, old)
	if err != nil {
		return err
	}
	defer p.remove()
	if p.inPlace {
		file, err := openInPlace(at, foreign, old)
		if err != nil {
			return err
		}
		return file.Close() // nothing was written
	}
	return nil
}

// Replace writes the file at path by calling write. The new file replaces an older one when it is
// complete, and keeps its mode and owner, so a reader never finds a partial file. Pipes and devices
// are written directly. An error means that the file was not written.
//
// Where the owner cannot be kept, the content is copied into the older file once it is complete: a reader
// may then find a part of it, and an error, such as that of a full disk, may leave a part.
func Replace(path string, write func(io.Writer) error) error {
	at, foreign, err := Resolve(path)
	if err != nil {
		return err
	}
	old, err := os.Stat(at)
	if err == nil && !old.Mode().IsRegular() {
		file, err := waitFor(pipeWait, path, at, os.O_WRONLY)
		if err != nil {
			return err
		}
		return errors.Join(write(file), file.Close())
	}
	p, err := newTempFile(at, old)
	if err != nil {
		return err
	}
	defer p.remove()
	err = write(p.file)
	switch {
	case err != nil:
	case p.inPlace:
		err = p.copyTo(at, foreign, old)
	default:
		err = p.moveTo(at)
	}
	return named(err, path) // not the temporary name
}

// A tempFile is the new file in the folder of the old one.
type tempFile struct {
	folder *os.Root
	name   string // empty after the rename
	file   *os.File
	// inPlace says that the old file's owner cannot be kept, so that its content is replaced
	// instead.
	inPlace bool
}

// newTempFile creates a temporary file. old is nil if path has no file.
func newTempFile(at string, old fs.FileInfo) (*tempFile, error) {
	folder, err := os.OpenRoot(filepath.Dir(at))
	if err != nil {
		return nil, err
	}
	p := &tempFile{folder: folder, name: tempPrefix + rand.Text()}
	mode := fs.FileMode(newMode)
	if old != nil {
		mode = 0o600 // until the owner is set
	}
	if p.file, err = folder.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode); err != nil {
		_ = folder.Close() // nothing was created
		return nil, fmt.Errorf("cannot make a file in %s: %w", filepath.Dir(at), errors.Unwrap(err))
	}
	if old != nil {
		p.inPlace = keepOwner(p.file, old) != nil
		if err := p.file.Chmod(old.Mode().Perm()); err != nil && !p.inPlace {
			p.remove()
			return nil, err
		}
	}
	return p, nil
}

// remove closes the file, and removes it unless it was renamed.
func (p *tempFile) remove() {
	_ = p.file.Close() // its content is durable by now, or not needed
	if p.name != "" {
		_ = p.folder.Remove(p.name) // fails only if the folder was removed
	}
	_ = p.folder.Close() // only opened for the rename
}

// moveTo makes the file durable and renames it to its final name.
func (p *tempFile) moveTo(at string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := p.folder.Rename(p.name, filepath.Base(at)); err != nil {
		return err
	}
	p.name = ""
	if now, err := os.Stat(at); err != nil || !os.SameFile(now, info) {
		return fmt.Errorf("it %w", ErrGone)
	}
	return nil
}

// copyTo replaces the content of the old file.
func (p *tempFile) copyTo(at string, foreign bool, old fs.FileInfo) error {
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	file, err := openInPlace(at, foreign, old)
	if err != nil {
		return err
	}
	err = file.Truncate(0)
	var n int64
	if err == nil {
		n, err = io.Copy(file, p.file)
	}
	if err == nil {
		err = errors.Join(file.Sync(), Check(at, file, n))
	}
	return errors.Join(err, file.Close())
}

// openInPlace opens another user's file for writing. In a foreign folder a file with further hard
// links is refused, because it is as dangerous as a symbolic link.
func openInPlace(at string, foreign bool, old fs.FileInfo) (*os.File, error) {
	file, err := os.OpenFile(at, os.O_WRONLY|noFollow|nonBlock, 0)
	if err != nil {
		return nil, fmt.Errorf("it belongs to another user and cannot be exchanged; remove it or name another file: %w", err)
	}
	info, err := file.Stat()
	if err == nil && (!os.SameFile(info, old) || foreign && hasOtherNames(info)) {
		err = errors.New("it is a link to a file of another user; remove it or name another file")
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}
