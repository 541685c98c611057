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
// was when the process started.
type Image struct {
	identity identity // of the file; zero when it is not known
	file     *os.File // nil for a sealed copy, and where the file cannot be read
	cancel   context.CancelFunc
	done     chan struct{} // closed when sum is set
	sum      string        // empty where it is not known
}

// Image returns what a process that is started next executes. It must be closed.
func (p *Program) Image() *Image {
	i := &Image{sum: p.sum, done: make(chan struct{})}
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

// Hash computes the checksum in the background, once for each file, and closes the file.
func (i *Image) Hash(known *Checksums) {
	var ctx context.Context
	ctx, i.cancel = context.WithCancel(context.Background())
	go func() {
		defer close(i.done)
		if i.file != nil {
			i.sum = known.of(ctx, i.file)
			_ = i.file.Close() // read only
		}
	}()
}

// Checksum returns the checksum, and waits a moment for one that is being computed. It is empty where
// the file cannot be read, or is too large.
func (i *Image) Checksum() string {
	select {
	case <-i.done:
		return i.sum
	case <-time.After(checksumWait):
		return ""
	}
}

// Close ends the computation.
func (i *Image) Close() {
	if i.cancel != nil {
		i.cancel()
		<-i.done
	} else if i.file != nil {
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

// of returns the checksum of a file; empty when it cannot be read, changes meanwhile or is too large,
// and when the context ends first.
func (c *Checksums) of(ctx context.Context, file *os.File) string {
	before, err := identify(file)
	if err != nil || before.size > maxBytes {
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
