// Package eventloop serves many sockets with one goroutine instead of one for each.
//
// A goroutine that waits for an idle client takes memory, and the scheduler has to wake it for each
// message. A loop asks the kernel which of its sockets are readable, epoll(7), calls their handlers
// one after the other, and sends the replies. A handler must not block: it removes its socket from
// the loop first.
package eventloop

import (
	"os"
	"runtime"
)

// LimitProcessors makes the process use half of the processors, unless GOMAXPROCS is set. The other
// half is for its counterpart: the agent's plugins, or the agent for its bundled plugin. Goroutines
// that move between many processors take more time for less work.
func LimitProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}
}

// DefaultCount returns how many loops the agent runs: one for each two processors that it uses.
func DefaultCount() int { return (runtime.GOMAXPROCS(0) + 1) / 2 }

// A Handler handles one socket. It must recover from its own panics; the loop does not.
type Handler interface {
	// Ready is called when there may be something to read: bytes, the end of the stream or an
	// error. It must not block. It may be called without anything to read, and once more while
	// or after the socket is removed. Ended says that the other end has closed its side, or that
	// there is urgent data, tcp(7), before which a read stops. Only if it is false does a short
	// read mean that everything has been read.
	//
	// Ready is called once for what has come: it reads all of it, or removes the socket.
	Ready(round *Round, ended bool)
}

// A Round collects the replies of the handlers that a loop calls, and sends them together, so that the
// other end is woken once for several replies.
type Round struct {
	// Buffer, of BufferBytes bytes, is for what a handler reads. It is valid until that returns.
	Buffer  []byte
	out     []byte
	replies []reply
	begun   []Finisher
}

// A reply is the part of Round.out up to end, for a socket.
type reply struct {
	fd, end int
	to      Sender
}

// A Finisher has begun to make its reply. It must not block for long, and recover from its own panics.
type Finisher interface {
	// Finish completes the reply and calls Round.Send.
	Finish(round *Round)
}

// A Sender is notified when its reply was sent. It must not block, and recover from its own panics.
type Sender interface {
	// Sent is called when the first n bytes of the reply have been written.
	Sent(reply []byte, n int)
}

const (
	// BufferBytes is the length of a Round's Buffer.
	BufferBytes = 64 << 10
	// maxReplies and maxReplyBytes limit a round.
	maxReplies    = 32
	maxReplyBytes = 64 << 10
)

// Out returns the buffer to append a reply to.
func (r *Round) Out() []byte { return r.out[len(r.out):] }

// Send writes out, which was appended to Out, to the socket at the end of the round. The socket must
// stay open until to.Sent is called.
func (r *Round) Send(fd int, out []byte, to Sender) {
	r.out = append(r.out, out...) // copies nothing if it is in place already
	r.replies = append(r.replies, reply{fd, len(r.out), to})
}

// Later has f finish at the end of the round, so that what several begin is done together.
func (r *Round) Later(f Finisher) { r.begun = append(r.begun, f) }

func (r *Round) isFull() bool {
	return len(r.replies)+len(r.begun) >= maxReplies || len(r.out) >= maxReplyBytes
}

// flush completes the replies and writes them.
func (r *Round) flush() {
	for i, f := range r.begun {
		f.Finish(r)
		r.begun[i] = nil
	}
	r.begun = r.begun[:0]
	from := 0
	for i, reply := range r.replies {
		out := r.out[from:reply.end]
		n, _ := Write(reply.fd, out)
		reply.to.Sent(out, n)
		from, r.replies[i].to = reply.end, nil
	}
	r.out, r.replies = r.out[:0], r.replies[:0]
}
