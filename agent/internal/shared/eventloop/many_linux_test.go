package eventloop_test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/shared/eventloop"
)

// TestManySockets on several loops: each byte comes back from each, in order, while sockets
// are added and removed all the time.
func TestManySockets(t *testing.T) {
	const sockets, messages, restless = 300, 20, 4 // more than a loop calls in a round
	loops := start(t, 3)
	var clients sync.WaitGroup
	for range sockets {
		fd, far := pair(t)
		if err := loops.Add(fd, echo(fd)); err != nil {
			t.Fatal(err)
		}
		clients.Go(func() {
			for i := range messages {
				var got [1]byte
				if _, err := far.Write([]byte{byte(i)}); err != nil {
					t.Error(err)
					return
				}
				if _, err := io.ReadFull(far, got[:]); err != nil || got[0] != byte(i) {
					t.Errorf("got %d, %v, want %d", got[0], err, i)
					return
				}
			}
		})
	}
	for range restless {
		fd, far := pair(t)
		clients.Go(func() {
			for range messages * 10 {
				if err := loops.Add(fd, echo(fd)); err != nil {
					t.Error(err)
				}
				_, _ = far.Write([]byte{1}) // whichever handler gets it
				loops.Remove(fd)
			}
		})
	}
	clients.Wait()
}

// echo sends back what comes.
type echo int

func (fd echo) Ready(round *eventloop.Round, _ bool) {
	if n, err := eventloop.Read(int(fd), round.Buffer); err == 0 {
		_, _ = eventloop.Write(int(fd), round.Buffer[:n]) // the far end finds out
	}
}

// TestRepliesAreSentAtTheEndOfARound: the loop calls every handler first, then those that have begun a reply
// again, and then sends the replies in the same order, each whole and to its own socket.
func TestRepliesAreSentAtTheEndOfARound(t *testing.T) {
	loops := start(t, 1)
	const sockets = 5
	var log []string // the loop's goroutine's
	gate, far := pair(t)
	held, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	if err := loops.Add(gate, handlerFunc(func(*eventloop.Round, bool) {
		once.Do(func() {
			close(held)
			<-goOn
		})
	})); err != nil {
		t.Fatal(err)
	}
	send(t, far, "x")
	await(t, held) // and what comes now is for the next round
	fars := make([]*net.TCPConn, sockets)
	for i := range sockets {
		var fd int
		fd, fars[i] = pair(t)
		send(t, fars[i], "x")
		waitForData(t, fd)
		if err := loops.Add(fd, handlerFunc(func(round *eventloop.Round, _ bool) {
			log = append(log, "called")
			round.Later(finisher(func(round *eventloop.Round) {
				log = append(log, "finished")
				round.Send(fd, fmt.Append(round.Out(), "reply ", i), &sender{log: &log})
			}))
		})); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	for i, far := range fars {
		if got, want := receive(t, far, len("reply 0")), fmt.Sprint("reply ", i); got != want {
			t.Errorf("socket %d got %q, want %q", i, got, want)
		}
	}
	loops.Close()
	want := append(slices.Repeat([]string{"called"}, sockets), slices.Repeat([]string{"finished"}, sockets)...)
	for i := range sockets {
		want = append(want, fmt.Sprintf("reply %d, 7 sent", i))
	}
	if !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}

type finisher func(*eventloop.Round)

func (f finisher) Finish(round *eventloop.Round) { f(round) }

// TestRepliesOfAnySize: a reply that is longer than what a round holds is sent like any other, and
// the sender is told what the socket did not take.
func TestRepliesOfAnySize(t *testing.T) {
	loops := start(t, 1)
	for _, size := range []int{0, 1, 1 << 10, 1 << 17, 1 << 24} {
		fd, far := pair(t)
		var log []string
		told := make(chan struct{})
		if err := loops.Add(fd, handlerFunc(func(round *eventloop.Round, _ bool) {
			if n, _ := eventloop.Read(fd, round.Buffer); n > 0 {
				round.Send(fd, append(round.Out(), make([]byte, size)...), &sender{&log, told})
			}
		})); err != nil {
			t.Fatal(err)
		}
		send(t, far, "x")
		await(t, told)
		var sent int
		rest, whole := strings.CutPrefix(log[0], strings.Repeat("\x00", size))
		if _, err := fmt.Sscanf(rest, ", %d sent", &sent); err != nil || !whole {
			t.Fatalf("%d bytes, %v", len(log[0]), err)
		}
		if size < 1<<17 && sent != size || size == 1<<24 && sent == size {
			t.Errorf("%d of %d bytes were sent", sent, size)
		}
		receive(t, far, sent)
	}
}

func receive(t *testing.T, far *net.TCPConn, n int) string {
	t.Helper()
	got := make([]byte, n)
	if _, err := io.ReadFull(far, got); err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// A sender writes down what it is told.
type sender struct {
	log  *[]string
	told chan struct{}
}

func (s *sender) Sent(reply []byte, n int) {
	*s.log = append(*s.log, fmt.Sprintf("%s, %d sent", reply, n))
	if s.told != nil {
		close(s.told)
	}
}
