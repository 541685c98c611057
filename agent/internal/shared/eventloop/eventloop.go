// Package eventloop waits for many sockets with one goroutine instead of one for each.
//
// A goroutine that waits for a quiet client takes memory, and is woken for each message by way
// of the scheduler. A loop asks the kernel which of its sockets have something to be read,
// epoll(7), calls their handlers one after the other, and sends the replies. A handler must not wait:
// it takes its socket out of the loop first.
package eventloop

import (
	"errors"
	"os"
	"runtime"
)

// LimitProcessors makes the process use half of the cores, unless GOMAXPROCS is set. The other half is
// for the process at the other end of what it does: the agent's plugins for the agent, the agent for
// its bundled plugin. Goroutines that are woken on one core after another take more time for less work.
func LimitProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}
}

// Usual returns how many loops the agent runs: one for two processors that it uses.
func Usual() int { return (runtime.GOMAXPROCS(0) + 1) / 2 }

// ErrUnsupported is returned by New where there is no epoll.
var ErrUnsupported = errors.New("event loops need Linux")

// A Handler is what a loop calls. It recovers from its own panics: the loop, which knows neither
// what they have left undone nor whom to tell, does not.
type Handler interface {
	// Ready is called when there may be something to read: bytes, the end of the stream or an
	// error. It must not wait. It may be called although nothing has come, and once more
	// while or after the socket is removed. Ended says that the other end sends nothing more
	// behind what is there to be read, or that there is urgent data, tcp(7), before which a read
	// stops: only with neither has a read that does not fill its buffer read all.
	//
	// What has come is told once: a handler reads all of it, or removes the socket.
	Ready(round *Round, ended bool)
}

// A Round is the time in which a loop calls the handlers of some sockets that are ready, and then
// writes their replies. So the other end is woken for several replies, and not for each of them.
type Round struct {
	// Buffer is for what is read, of BufferBytes bytes. It is the handler's until that returns.
	Buffer  []byte
	out     []byte
	replies []reply
}

// A reply is a part of a round's out, up to end, for a socket.
type reply struct {
	fd, end int
	to      Sender
}

// A Sender is told what has become of its reply. It must not wait, and recovers as a Handler does.
type Sender interface {
	// Sent says that the first n bytes of the reply were written.
	Sent(reply []byte, n int)
}

const (
	// BufferBytes is the length of a Round's Buffer.
	BufferBytes = 64 << 10
	// maxReplies and maxReplyBytes end a round.
	maxReplies    = 32
	maxReplyBytes = 64 << 10
)

// Out returns the memory to append a reply to.
func (r *Round) Out() []byte { return r.out[len(r.out):] }

// Send has what was appended to Out written to the socket when the round ends. The socket must stay
// open until the sender has been told.
func (r *Round) Send(fd int, out []byte, to Sender) {
	r.out = append(r.out, out...) // which moves nothing where it is there already
	r.replies = append(r.replies, reply{fd, len(r.out), to})
}

func (r *Round) isFull() bool { return len(r.replies) == maxReplies || len(r.out) >= maxReplyBytes }

// end writes the replies.
func (r *Round) end() {
	from := 0
	for i, reply := range r.replies {
		out := r.out[from:reply.end]
		n, _ := Write(reply.fd, out)
		reply.to.Sent(out, n)
		from, r.replies[i].to = reply.end, nil
	}
	r.out, r.replies = r.out[:0], r.replies[:0]
}
