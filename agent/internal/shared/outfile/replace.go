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

// partPrefix begins the names of files that are not whole yet. What follows cannot be
// guessed.
const partPrefix = ".stepctl-"

// Probe sees whether Replace could write a file at path, so that nothing else is done in vain.
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
		return nil // opening it may take something from a pipe
	}
	p, err := newPart(at, old)
	if err != nil {
		return err
	}
	defer p.drop()
	if p.inPlace {
		file, err := openInPlace(at, foreign, old)
		if err != nil {
			return err
		}
		return file.Close() // nothing was written
	}
	return nil
}

// Replace has write write the file at path. It takes the place of an older one when it is
// whole, and keeps its mode and owner, so that at no time half of a file is found at the
// path. Pipes and devices are written to. The error says that the file is not there.
func Replace(path string, write func(io.Writer) error) error {
	at, foreign, err := Resolve(path)
	if err != nil {
		return err
	}
	old, err := os.Stat(at)
	if err == nil && !old.Mode().IsRegular() {
		file, err := wait(path, at, os.O_WRONLY)
		if err != nil {
			return err
		}
		return errors.Join(write(file), file.Close())
	}
	p, err := newPart(at, old)
	if err != nil {
		return err
	}
	defer p.drop()
	err = write(p.file)
	switch {
	case err != nil:
	case p.inPlace:
		err = p.copyTo(at, foreign, old)
	default:
		err = p.moveTo(at)
	}
	return named(err, path) // and not the part's name
}

// A part is a file that is not whole yet, in the folder where it will be.
type part struct {
	folder *os.Root
	name   string
	file   *os.File
	// inPlace says that a file of this user cannot have the owner of the older one, whose
	// content has to be exchanged then.
	inPlace bool
}

// newPart makes a part. The old file is nil where there is none.
func newPart(at string, old fs.FileInfo) (*part, error) {
	folder, err := os.OpenRoot(filepath.Dir(at))
	if err != nil {
		return nil, err
	}
	p := &part{folder: folder, name: partPrefix + rand.Text()}
	mode := fs.FileMode(newMode)
	if old != nil {
		mode = 0o600 // until it has its owner
	}
	if p.file, err = folder.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode); err != nil {
		_ = folder.Close() // it was only looked at
		return nil, fmt.Errorf("cannot make a file in %s: %w", filepath.Dir(at), errors.Unwrap(err))
	}
	if old != nil {
		p.inPlace = keepOwner(p.file, old) != nil
		if err := p.file.Chmod(old.Mode().Perm()); err != nil && !p.inPlace {
			p.drop()
			return nil, err
		}
	}
	return p, nil
}

// drop removes what is left of the part.
func (p *part) drop() {
	_ = p.file.Close() // what was written is safe by now, or is of no use
	if p.name != "" {
		_ = p.folder.Remove(p.name) // a folder that has gone has nothing left
	}
	_ = p.folder.Close() // it was only looked at
}

// moveTo makes the part durable and gives it its name.
func (p *part) moveTo(at string) error {
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

// copyTo exchanges the content of the older file for that of the part.
func (p *part) copyTo(at string, foreign bool, old fs.FileInfo) error {
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

// openInPlace opens a file of another user to write it. One that may be found by another name
// as well is refused: in a folder that others can write, that is as good as a link.
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
