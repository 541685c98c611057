package program

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// hashPause is the pause after each block of 64 KiB that is hashed, so that the first steps do not
	// wait for it where the agent has one core. A goroutine that only yields keeps the runtime from
	// polling sockets.
	hashPause = 50 * time.Microsecond
	// checksumWait bounds how long Checksum waits for a checksum that is being computed.
	checksumWait = time.Second
)

// An Image is the bytes that one process executes: the sealed copy of its program, or the file as it
// was when the process started. It is safe for concurrent use.
type Image struct {
	identity identity // of the file; zero when it is not known
	file     *os.File // nil for a sealed copy, and where the file cannot be read
	ctx      context.Context
	cancel   context.CancelFunc
	begin    sync.Once     // of the computation, or of Close without one
	done     chan struct{} // closed when sum is set
	sum      string        // empty where it is not known
}

// Image returns what a process that is started next executes. It must be closed.
func (p *Program) Image() *Image {
	i := &Image{sum: p.sum, done: make(chan struct{})}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	if p.Sealed == nil {
		if file, err := openRegular(p.Path, 0); err == nil {
			i.file = file
			i.identity, _ = identify(file) // zero with an error
		}
	}
	return i
}

// Same reports whether both are known to be the same bytes: by the checksum of sealed copies, and by
// the identity of files.
func (i *Image) Same(other *Image) bool {
	if i.file == nil || other.file == nil {
		return i.file == nil && other.file == nil && i.sum != "" && i.sum == other.sum
	}
	return i.identity != identity{} && i.identity == other.identity
}

// Checksum returns the checksum. The first call begins to compute it, as a start should not take the time
// for it, and calls wait a moment for the result. It is empty where the file cannot be read, has been
// written to since the process started, or is too large, and after Close.
func (i *Image) Checksum(known *Checksums) string {
	i.begin.Do(func() {
		go func() {
			defer close(i.done)
			if i.file != nil {
				i.sum = known.of(i.ctx, i.file, i.identity)
			}
		}()
	})
	select {
	case <-i.done:
		return i.sum
	case <-time.After(checksumWait):
		return ""
	}
}

// Close ends the computation and closes the file.
func (i *Image) Close() {
	i.cancel()
	i.begin.Do(func() { close(i.done) })
	<-i.done
	if i.file != nil {
		_ = i.file.Close() // read only
	}
}

// Checksums remembers the checksums of files. The zero value is ready; it is safe for concurrent use.
type Checksums struct{ known sync.Map } // string by identity

// An identity tells a file from others, and from itself after a change.
type identity struct {
	device, inode, size uint64
	modified, changed   unix.Timespec
}

func identify(file *os.File) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil {
		return identity{}, err
	}
	//nolint:unconvert // the types differ between architectures
	return identity{uint64(st.Dev), uint64(st.Ino), uint64(st.Size), st.Mtim, st.Ctim}, nil
}

// sameBytes reports whether a file holds what it held when it had the other identity. It may have another
// name or none by now, which counts as a change of the file.
func (id identity) sameBytes(other identity) bool {
	id.changed, other.changed = unix.Timespec{}, unix.Timespec{}
	return id == other
}

// of returns the checksum of a file; empty when it cannot be read, has been written to since it had the
// identity, is too large, and when the context ends first.
func (c *Checksums) of(ctx context.Context, file *os.File, was identity) string {
	before, err := identify(file)
	if err != nil || !before.sameBytes(was) || before.size > maxBytes {
		return ""
	}
	if sum, ok := c.known.Load(before); ok {
		return sum.(string)
	}
	sum, err := hash(ctx, file)
	if after, afterErr := identify(file); err != nil || afterErr != nil || after != before {
		return ""
	}
	c.known.Store(before, sum)
	return sum
}

// hash returns the checksum of what a file holds, or an error when the context ends first.
func hash(ctx context.Context, file io.Reader) (string, error) {
	sum := sha256.New()
	for block := make([]byte, 64<<10); ; {
		n, err := file.Read(block)
		_, _ = sum.Write(block[:n]) // never fails
		time.Sleep(hashPause)
		if errors.Is(err, io.EOF) {
			return formatSum(sum.Sum(nil)), nil
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return "", err
		}
	}
}
