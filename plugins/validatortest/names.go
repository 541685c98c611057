package validatortest

// A Law is one thing that every validator must keep.
type Law struct {
	// Name is how failures name it.
	Name string
	// Text says in one line what the law is.
	Text string
}

// Laws returns the laws that Check and Examine put a validator to. An empty state and a nil one
// are the same, because the border between processes does not tell them apart. A validator that is
// no Declarer is not put to "inputs". Concurrency is put to the test only when all the rest holds.
func Laws() []Law {
	return []Law{
		{"answer", "no call panics or hangs, whatever the step, its data and the state"},
		{"form", "a verdict is as Verdict.Check wants it, with bounds on state and detail"},
		{"deadline", "a call ends when its context does"},
		{"context", "a context that has ended hurries the call and changes no verdict"},
		{"ownership", "it changes nothing that it is given and keeps nothing that it returns"},
		{"purity", "the same question gets the same verdict, from one that has just been made as well"},
		{"session ID", "nothing depends on it"},
		{"empty is nil", "state and data without bytes mean the same as none"},
		{"unknown fields", "a field in the data that it does not know changes no verdict"},
		{"inputs", "only what it declares to read changes a verdict, and it always declares the same"},
		{"expectation", "a step that an Expecter expects is not out of order"},
		{"use", "some question gets a verdict; otherwise it needs samples of steps and data"},
		{"concurrency", "many at once get the verdicts that one gets"},
	}
}

// Broken is an error with which a stand-in for a validator elsewhere, such as one in another
// process, says that a law is broken which does not show on this side. The verdict is then
// undecided. After "answer" nothing more is asked; "deadline" counts when it comes again.
type Broken struct {
	// Law is the name of the law.
	Law string
	// Problem says how it is broken.
	Problem string
}

// Error returns the problem.
func (b *Broken) Error() string { return b.Problem }
