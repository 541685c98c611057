// Package eventloop waits for many sockets with one goroutine in the place of one for each.
//
// A goroutine that waits for a quiet client takes memory, and is woken for each message by way
// of the scheduler. A loop asks the kernel which of its sockets have something to be read,
// epoll(7), and calls their handlers one after the other. Handlers must not wait: whoever has
// to takes his socket out of the loop first.
package eventloop

import (
	"errors"
	"os"
	"runtime"
)

// LimitProcessors has the process use half of the cores, where nobody has set GOMAXPROCS: the
// other half is for the plugins, to which each step goes and from which it comes back. Goroutines
// that are woken on one core after another take longer for less.
func LimitProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS((runtime.GOMAXPROCS(0) + 1) / 2)
	}
}

// Usual is how many loops a process needs: they read, and others write the replies.
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
	// What has come is told once. A handler that does not read all of it calls Loops.Again
	// when it is ready for more.
	Ready(round *Round, ended bool)
}

// A Round is the time in which a loop calls the handlers of all sockets that were ready.
type Round struct {
	// Buffer is for what is read, of BufferBytes bytes. It is the handler's until that returns.
	Buffer []byte
	flush  []Flusher
}

// A Flusher is told when a round ends. It must be comparable, and recover as a Handler does.
type Flusher interface{ Flush() }

// BufferBytes is the length of a Round's Buffer.
const BufferBytes = 64 << 10

// Finally has Flush called, once, when the round ends.
func (r *Round) Finally(f Flusher) {
	for _, other := range r.flush {
		if other == f {
			return
		}
	}
	r.flush = append(r.flush, f)
}

// end ends the round.
func (r *Round) end() {
	for i, f := range r.flush {
		f.Flush()
		r.flush[i] = nil
	}
	r.flush = r.flush[:0]
}
