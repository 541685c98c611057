package pluginhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/stepagent/stepagent/plugins/sdk"
	validatorv1 "github.com/stepagent/stepagent/plugins/sdk/proto/stepagent/validator/v1"
)

// dataBuffer is how much is read from a data path at once, in bytes.
const dataBuffer = 32 << 10

// dialDataPath asks the plugin for a data path and makes the connection; nil when the plugin
// offers none. The socket must be in dir, the directory that this process alone was given.
func dialDataPath(ctx context.Context, conn *grpc.ClientConn, dir string) (*net.UnixConn, error) {
	where, err := validatorv1.NewValidatorServiceClient(conn).OpenDataPath(ctx, &validatorv1.OpenDataPathRequest{})
	if status.Code(err) == codes.Unimplemented {
		return nil, nil
	}
	if err != nil {
		return nil, serviceError("OpenDataPath", err)
	}
	socket := filepath.Clean(where.GetSocket())
	if !isSameDir(filepath.Dir(socket), dir) || len(where.GetToken()) != sdk.TokenBytes {
		return nil, fmt.Errorf("it offers a data path that is not in its directory, or without a token of %d bytes", sdk.TokenBytes)
	}
	made, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("its data path: %w", err)
	}
	data := made.(*net.UnixConn)
	err = sdk.CheckPeer(data)
	if err == nil {
		_, err = data.Write(where.GetToken()) // a new socket's buffer holds so much
	}
	if err != nil {
		_ = data.Close() // the first error is the one to tell
		return nil, fmt.Errorf("its data path: %w", err)
	}
	return data, nil
}

// A dataPath is the raw way to a plugin. Callers put their steps into one buffer; whoever
// finds nobody writing writes what has come together. Guarded by link.mu but for
// conn and raw, which stay as they are.
type dataPath struct {
	conn *net.UnixConn
	raw  syscall.RawConn

	out     []byte // frames to be written
	spare   []byte // the buffer that was written last
	frame   int    // where the last frame in out begins
	calls   int    // so many steps are in it
	waiting int    // so many are in out
	writing bool
	hold    *time.Timer // nil until first used
}

const (
	// holdCalls is with how many steps at the plugin further ones wait for the next answers to
	// come, so that they make one batch and not many: then the plugin has enough to do.
	holdCalls = 4
	// holdTime is how long they wait at most.
	holdTime = 200 * time.Microsecond
)

func newDataPath(conn *net.UnixConn) (*dataPath, error) {
	raw, err := conn.SyscallConn()
	return &dataPath{conn: conn, raw: raw}, err
}

// add puts a call into the buffer. The caller holds link.mu.
func (d *dataPath) add(c *sdk.Call) {
	if d.calls == sdk.MaxBatchCalls || len(d.out)-d.frame > sdk.MaxBatchBytes {
		d.seal()
	}
	if d.calls == 0 {
		d.frame = len(d.out)
		d.out = append(d.out, make([]byte, sdk.FrameHeaderBytes)...)
	}
	d.out = sdk.AppendCall(d.out, c)
	d.calls++
	d.waiting++
}

func (d *dataPath) seal() {
	sdk.SealFrame(d.out[d.frame:])
	d.calls = 0
}

// take returns what is to be written; empty when nothing is. The caller holds link.mu.
func (d *dataPath) take() []byte {
	if d.calls > 0 {
		d.seal()
	}
	out := d.out
	d.out = d.spare[:0]
	d.spare, d.waiting = nil, 0
	return out
}

// keep gives a buffer back that has been written. The caller holds link.mu.
func (d *dataPath) keep(b []byte) {
	if cap(b) <= sdk.MaxBatchBytes {
		d.spare = b
	}
}

// flush writes what has come together, and what comes while it writes. It is called by one
// goroutine at a time and does not block: what the plugin does not take at once another one
// writes. With urgent it does not hold anything back.
func (l *link) flush(urgent bool) {
	defer l.recovered()
	for {
		out := l.due(urgent)
		if len(out) == 0 {
			return
		}
		n, err := l.data.tryWrite(out)
		if err == nil && n < len(out) {
			go l.finish(out, n)
			return
		}
		if !l.written(out, err) {
			return
		}
		urgent = false
	}
}

// due returns what is to be written now; where that is nothing, nobody writes any more.
func (l *link) due(urgent bool) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !urgent && len(l.sent)-l.data.waiting >= holdCalls {
		l.data.writing = false
		l.holdBack()
		return nil
	}
	out := l.data.take()
	if len(out) == 0 {
		l.data.writing = false
		l.data.keep(out)
	}
	return out
}

// recovered, deferred by whoever writes, keeps a panic to the link: nobody knows how much of its
// steps the plugin has got, and so they go to the next process. Who reads cannot be helped in this
// way, as there may be steps that he alone knew.
func (l *link) recovered() {
	if p := recover(); p != nil {
		l.logger.Error("panic while steps are sent to a plugin", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		l.lose(fmt.Errorf("the agent failed on its data path: %v", p))
	}
}

// holdBack has what is in the buffer written in a moment, if the next answers do not have that
// done before. The caller holds link.mu.
func (l *link) holdBack() {
	switch {
	case l.data.waiting == 0 || l.err != nil:
	case l.data.hold == nil:
		l.data.hold = time.AfterFunc(holdTime, l.release)
	default:
		l.data.hold.Reset(holdTime)
	}
}

// release writes what has been held back, if nobody does.
func (l *link) release() {
	l.mu.Lock()
	idle := l.data.waiting > 0 && !l.data.writing && l.err == nil
	if idle {
		l.data.writing = true
	}
	l.mu.Unlock()
	if idle {
		l.flush(true)
	}
}

// finish writes the rest of a buffer, however long the plugin takes to accept it, and goes on
// in the place of the caller who has begun.
func (l *link) finish(out []byte, from int) {
	defer l.recovered()
	_, err := l.data.conn.Write(out[from:])
	if l.written(out, err) {
		l.flush(false)
	}
}

// written takes note that a buffer was written; false when the link is lost by that.
func (l *link) written(out []byte, err error) bool {
	if err != nil {
		l.lose(fmt.Errorf("%w: %w", errStream, err))
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.data.keep(out)
	return true
}

// tryWrite writes what the socket takes at once.
func (d *dataPath) tryWrite(b []byte) (n int, err error) {
	rawErr := d.raw.Write(func(fd uintptr) bool {
		for {
			n, err = unix.Write(int(fd), b)
			if err != unix.EINTR {
				return true
			}
		}
	})
	if err == unix.EAGAIN {
		return 0, nil
	}
	return max(n, 0), errors.Join(rawErr, err)
}

// receiveData hands out the answers that come over the data path until it ends or breaks the
// contract.
func (l *link) receiveData() {
	in := bufio.NewReaderSize(l.data.conn, dataBuffer)
	var (
		buffer  []byte
		answers answerBuffer
	)
	for {
		response, err := sdk.ReadFrame(in, buffer)
		if err != nil {
			if !errors.Is(err, io.EOF) && !isSocketError(err) {
				l.lose(fmt.Errorf("the plugin broke the contract: %w", err))
			} else {
				l.lose(fmt.Errorf("%w: %w", errStream, err))
			}
			return
		}
		buffer = response
		if err := l.take(&answers, response); err != nil {
			l.lose(err)
			return
		}
	}
}

// isSocketError tells the end of a connection from bytes that are wrong.
func isSocketError(err error) bool {
	var op *net.OpError
	return errors.As(err, &op)
}
