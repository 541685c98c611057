package record

// A Live follows a run as it happens, under the rules of Fold. The zero value is ready for
// the first event. It is for one goroutine at a time.
type Live struct {
	folder folder
	events int
}

// Add takes the next event and returns what is now known of the step that it concerns; the
// zero StepResult when it concerns none. After an *EventError nothing more is to be added.
func (l *Live) Add(e Event) (StepResult, error) {
	l.events++
	if problem := l.folder.event(&e); problem != "" {
		return StepResult{}, &EventError{Event: l.events, Problem: problem}
	}
	if e.Index == 0 {
		return StepResult{}, nil
	}
	return l.folder.run.Steps[e.Index-1], nil
}

// Run returns what the events so far come to, which is what Fold makes of them.
func (l *Live) Run() Run { return l.folder.result() }
