// Package program is the file that a plugin is executed from. It decides whether the agent may trust
// and execute the file, executes a sealed copy of it where the config has a checksum, computes the
// checksum of what runs, and says in one line why the kernel does not execute a file.
package program

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxBytes is the size of the largest program that may have a checksum: its copy is held in memory.
const maxBytes = 256 << 20

// A Program is what the processes of one plugin execute: without a checksum the file at Path in its
// current form, with a checksum a copy of the file that was checked once. The copy is a sealed file in
// memory, see memfd_create(2), which cannot be changed. A file that is checked and then executed by its
// name could be replaced in between, and even an open file may be written to.
type Program struct {
	// Path is the file, with no symbolic link in it.
	Path string
	// Sealed is the copy; nil without a checksum.
	Sealed *os.File
	// Script says that the copy is run by an interpreter.
	Script bool

	sum string // of the copy
}

// Open returns the program at a path, which Resolve has returned. A checksum that is not empty must be
// that of the file: "sha256:" and 64 hexadecimal digits.
func Open(path, checksum string) (*Program, error) {
	p := &Program{Path: path}
	if checksum == "" {
		return p, nil
	}
	if err := p.seal(); err != nil {
		return nil, err
	}
	if p.sum != checksum {
		p.Close()
		return nil, fmt.Errorf("the checksum of %s is %s, and the config expects %s; "+
			"install the program that was meant, or correct the checksum", path, p.sum, checksum)
	}
	return p, nil
}

// Close drops the sealed copy.
func (p *Program) Close() {
	if p.Sealed != nil {
		_ = p.Sealed.Close() // read only
	}
}

// Recheck resolves the program again before a further start. link is its path in the config.
func (p *Program) Recheck(link string) error {
	_, err := Resolve(p.Path)
	if _, gone := os.Lstat(p.Path); errors.Is(gone, fs.ErrNotExist) {
		if now, linkErr := Resolve(link); linkErr == nil {
			return fmt.Errorf("there is no file %s any more, to which %s led when the config was read; "+
				"reload, to execute %s", p.Path, link, now)
		}
	}
	return err
}

// seal makes the copy.
func (p *Program) seal() error {
	file, err := openRegular(p.Path, unix.O_NOFOLLOW)
	if err != nil {
		return fmt.Errorf("%s: %w; for its checksum the agent's user must be able to read it", p.Path, err)
	}
	defer func() { _ = file.Close() }() // read only
	memory, err := memfd(filepath.Base(p.Path))
	if err != nil {
		return fmt.Errorf("a copy of %s in memory: %w", p.Path, err)
	}
	defer func() { _ = memory.Close() }() // p.Sealed is another descriptor
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(memory, hash), io.LimitReader(file, maxBytes+1))
	switch {
	case err != nil:
		return fmt.Errorf("a copy of %s in memory: %w", p.Path, err)
	case n > maxBytes:
		return fmt.Errorf("%s is larger than %d MiB, the most that is taken with a checksum", p.Path, maxBytes>>20)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(memory.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the copy of %s: %w", p.Path, err)
	}
	magic := make([]byte, 2)
	_, _ = memory.ReadAt(magic, 0) // a file of one byte is no script
	p.sum, p.Script = formatSum(hash.Sum(nil)), string(magic) == "#!"
	// The kernel executes no file that is open for writing.
	p.Sealed, err = os.Open(fmt.Sprintf(procSelf+"fd/%d", memory.Fd()))
	if errors.Is(err, fs.ErrNotExist) && !exists(procSelf) {
		return fmt.Errorf("a copy of %s in memory cannot be executed, as /proc is not mounted; %s", p.Path, mountProc)
	}
	return err
}

// memfd returns an empty file in memory that may be executed and sealed.
func memfd(name string) (*os.File, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before Linux 6.3 all of them may be executed
		fd, err = unix.MemfdCreate(name, flags)
	}
	if errors.Is(err, unix.EACCES) {
		return nil, fmt.Errorf("%w: this machine executes nothing from memory (sysctl vm.memfd_noexec); "+
			"set that to 1 or less, or take the checksum out", err)
	}
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// formatSum returns a checksum as a config has it, with a prefix that says of which kind it is.
func formatSum(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }
