package judge

import (
	"context"
	"runtime"
	"testing"
)

// TestNoStepBeginsOnADrainedChain is about the moment between a Judge's look at its pointer
// and its hold on the chain found there, in which the chain may be swapped out and drain.
func TestNoStepBeginsOnADrainedChain(t *testing.T) {
	t.Parallel()
	c := NewChain(Options{})
	if !c.acquire() {
		t.Fatal("the chain in force could not be used")
	}
	c.release() // the step's hold
	c.release() // being in force
	<-c.Drained()
	if c.acquire() {
		t.Error("a chain that has drained was used again")
	}
}

// TestDrainedChainHasASuccessor: a step that finds a drained chain at the pointer waits for the
// chain that replaces it.
func TestDrainedChainHasASuccessor(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*Judge) Judgement{
		"Judge": func(j *Judge) Judgement { return j.Judge(context.Background(), Session{}, Step{}) },
		"Try": func(j *Judge) Judgement {
			judgement, ok := j.Try(Session{}, Step{})
			if !ok {
				t.Error("Try says no")
			}
			return judgement
		},
	} {
		j := New(NewChain(Options{Generation: 1}))
		j.Chain().release()
		<-j.Chain().Drained()
		asking, judged := make(chan struct{}), make(chan uint64, 1)
		go func() {
			close(asking)
			judged <- ask(j).Generation
		}()
		<-asking
		for range 100 {
			runtime.Gosched() // it may look at the old chain meanwhile
		}
		j.chain.Store(NewChain(Options{Generation: 2}))
		if got := <-judged; got != 2 {
			t.Errorf("%s: judged by generation %d, want 2", name, got)
		}
	}
}
