package validatortest

// A Law is one thing that every validator must keep.
type Law struct {
	// Name is how failures name it.
	Name string
	// Text says in one line what the law is.
	Text string
}

// Laws returns the laws that Check and Examine put a validator to.
func Laws() []Law {
	return []Law{
		{"answer", "no call panics or hangs, whatever the step, its data and the state"},
		{"form", "a verdict passes Verdict.Check, so that its state and detail are bounded; undecided goes with an error and only with one"},
		{"deadline", "a call ends when its context does"},
		{"context", "a context that has ended hurries the call and changes no verdict"},
		{"ownership", "what the validator is given is neither changed nor written behind, and what it returns shares no memory with it"},
		{"purity", "the same question gets the same verdict, from the same validator and from one that has just been made"},
		{"session ID", "nothing depends on it"},
		{"empty is nil", "state and data with no bytes mean the same as none, since the border between processes does not tell them apart"},
		{"unknown fields", "a field in the data that it does not know changes no verdict"},
		{"expectation", "a step that an Expecter expects is not out of order"},
		{"use", "at least one question gets a verdict; where all get errors, Options are to be filled in"},
		{"concurrency", "many goroutines get the verdicts that one gets; put to the test only when all the rest holds"},
	}
}
