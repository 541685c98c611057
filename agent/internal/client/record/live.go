package record

// A Live folds the events of a run as they happen. The zero value is ready for the first event. It is
// not safe for concurrent use.
type Live struct {
	folder folder
	events int
}

// Add adds the next event. It returns the result of the step that the event concerns; the zero
// StepResult if it concerns none. After an *EventError, Add must not be called again.
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

// Run returns the result of the events so far, as Fold does.
func (l *Live) Run() Run { return l.folder.result() }
