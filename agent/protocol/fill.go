package protocol

import "io"

// How much memory a Reader holds, in bytes. It begins with the bytes inside itself, which
// are enough for a common request, and takes a buffer only for a longer message or for
// several at once.
const (
	innerBufferBytes = 128
	firstBufferBytes = 512
	// keptBufferBytes is the largest buffer that a Reader keeps while nothing is in it.
	keptBufferBytes = 512
)

// maxEmptyReads is how often in a row the source may return no bytes and no error.
const maxEmptyReads = 100

// fill reads at least one byte into the buffer or returns an error.
func (r *Reader) fill() error {
	if err := r.sourceErr; err != nil {
		r.sourceErr = nil
		return err
	}
	r.makeRoom()
	for range maxEmptyReads {
		n, err := r.source.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 {
			r.sourceErr = err
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// makeRoom makes place for at least one byte behind what is in the buffer. The caller knows
// that less than max bytes are.
func (r *Reader) makeRoom() {
	unread := r.buf[r.start:]
	switch full := len(r.buf) == cap(r.buf); {
	case len(unread) == 0 && cap(r.buf) > keptBufferBytes:
		r.shrink()
	case full && cap(r.buf) < r.max && len(unread) > 0:
		// Either the message is long or many came at once: fewer and larger reads.
		larger := min(max(firstBufferBytes, 2*cap(r.buf)), r.max)
		r.buf = append(make([]byte, 0, larger), unread...)
	case full || len(unread) == 0:
		r.buf = r.buf[:copy(r.buf, unread)]
	default:
		return
	}
	r.start = 0
}

// shrink gives the buffer back, when nothing is in it, and goes on with the inner one.
func (r *Reader) shrink() {
	r.buf = r.inner[:0:min(innerBufferBytes, r.max)]
}
