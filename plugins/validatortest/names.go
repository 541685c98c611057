package validatortest

// A Law is a requirement for every validator.
type Law struct {
	// Name is the name of the law in failures.
	Name string
	// Text describes the law in one line.
	Text string
}

// Laws returns the laws that Check and Examine check. An empty State and a nil one are the same, because
// the process border does not distinguish them. "inputs" is checked for Declarers only, and
// "concurrency" only if all other laws hold.
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

// Broken is an error by which a stand-in for a validator, such as one in another process, reports a broken
// law that Check cannot see itself. The verdict is undecided. After "answer" no further call is
// made; "deadline" counts if it is repeated.
type Broken struct {
	// Law is the name of the law.
	Law string
	// Problem describes the error.
	Problem string
}

// Error returns the problem.
func (b *Broken) Error() string { return b.Problem }
