package eventloop_test

import (
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stepagent/stepagent/agent/internal/eventloop"
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
				_, _ = far.Write([]byte{1}) // whoever is told of it
				if err := loops.Again(fd); err != nil {
					t.Error(err)
				}
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

// TestFinally: each flusher once in each round, in the order in which they were given, when
// all handlers have been called.
func TestFinally(t *testing.T) {
	loops := start(t, 1)
	const sockets = 5
	var log []string // the loop's goroutine's
	first, second := &flusher{&log, "first"}, &flusher{&log, "second"}
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
	for range sockets {
		fd, far := pair(t)
		send(t, far, "x")
		waitForData(t, fd)
		if err := loops.Add(fd, handlerFunc(func(round *eventloop.Round, _ bool) {
			log = append(log, "called")
			round.Finally(first)
			round.Finally(second)
			round.Finally(first)
		})); err != nil {
			t.Fatal(err)
		}
	}
	close(goOn)
	rounds(t, loops).turn(t)
	loops.Close()
	want := append(slices.Repeat([]string{"called"}, sockets), "first", "second")
	if !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}

// TestFinallyEachRound: a flusher of one round is not one of the next.
func TestFinallyEachRound(t *testing.T) {
	loops := start(t, 1)
	fd, far := pair(t)
	var log []string
	told := make(chan struct{}, 100)
	if err := loops.Add(fd, handlerFunc(func(round *eventloop.Round, _ bool) {
		var one [1]byte
		if n, _ := eventloop.Read(fd, one[:]); n == 1 {
			round.Finally(&flusher{&log, string(one[:])})
			told <- struct{}{}
		}
	})); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a", "b", "c"} {
		send(t, far, text)
		await(t, told)
	}
	loops.Close()
	if want := []string{"a", "b", "c"}; !slices.Equal(log, want) {
		t.Errorf("got %v, want %v", log, want)
	}
}

type flusher struct {
	log  *[]string
	name string
}

func (f *flusher) Flush() { *f.log = append(*f.log, f.name) }
