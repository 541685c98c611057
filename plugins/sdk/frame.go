package sdk

import (
	"encoding/binary"
	"fmt"
	"io"
)

// FrameHeaderBytes is the length of what stands before each message on the data path: the
// length of the message, big-endian.
const FrameHeaderBytes = 4

// SealFrame writes the header of a frame that is whole: four bytes that were left free, and
// the message after them.
func SealFrame(frame []byte) {
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-FrameHeaderBytes))
}

// ReadFrame reads one frame and returns its message, in buffer where that is large enough. The
// error is io.EOF when the path ends between frames. A frame beyond MaxMessageBytes is refused
// before any of it is read.
func ReadFrame(r io.Reader, buffer []byte) ([]byte, error) {
	if cap(buffer) < FrameHeaderBytes {
		buffer = make([]byte, 0, minFrameBuffer)
	}
	if _, err := io.ReadFull(r, buffer[:FrameHeaderBytes]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(buffer[:FrameHeaderBytes])
	if n > MaxMessageBytes {
		return nil, fmt.Errorf("a message of %d bytes, at most %d are allowed", n, MaxMessageBytes)
	}
	if int(n) > cap(buffer) {
		buffer = make([]byte, n)
	}
	if _, err := io.ReadFull(r, buffer[:n]); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buffer[:n], nil
}

// minFrameBuffer is what a frame of a few steps takes.
const minFrameBuffer = 4096
