package judge

import "testing"

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
