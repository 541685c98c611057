package record

// A field is one member of a JSON object in the record.
type field[T any] struct {
	name string
	// at returns where the value lies, for reading and for writing.
	at func(*T) any
	// absent reports whether the member is left out when v is written. nil means never, and
	// that it must not be missed when v is read.
	absent func(v *T) bool
}

// eventFields are the members of each kind of event, in the order in which they are
// written, after "event". This is the format.
func eventFields(kind Kind) ([]field[Event], bool) {
	at := field[Event]{name: "at", at: func(e *Event) any { return &e.At }}
	index := field[Event]{name: "index", at: func(e *Event) any { return &e.Index }}
	stepID := field[Event]{name: "step_id", at: func(e *Event) any { return &e.StepID }}
	req := field[Event]{name: "req", at: func(e *Event) any { return &e.Req },
		absent: func(e *Event) bool { return e.Req.IsZero() }}
	timeout := field[Event]{name: "timeout", at: func(e *Event) any { return &e.Timeout }}
	interval := field[Event]{name: "interval", at: func(e *Event) any { return &e.Interval }}
	kept := field[Event]{name: "kept", at: func(e *Event) any { return &e.Kept }}
	took := field[Event]{name: "took", at: func(e *Event) any { return &e.Took }}
	reply := field[Event]{name: "reply", at: func(e *Event) any { return &e.Reply }}
	detail := field[Event]{name: "detail", at: func(e *Event) any { return &e.Detail }}
	count := field[Event]{name: "count", at: func(e *Event) any { return &e.Count }}
	stray := field[Event]{name: "stray", at: func(e *Event) any { return &e.Stray }}

	optionalReply, optionalIndex, optionalStepID := reply, index, stepID
	optionalReply.absent = func(e *Event) bool { return e.Reply == nil }
	noStep := func(e *Event) bool { return e.Index == 0 }
	optionalIndex.absent, optionalStepID.absent = noStep, noStep

	switch kind {
	case KindStart:
		return append([]field[Event]{at}, startFields()...), true
	case KindSent:
		return []field[Event]{at, index, stepID, req, timeout, interval}, true
	case KindReply, KindLate:
		return []field[Event]{at, index, stepID, took, reply}, true
	case KindTimeout:
		return []field[Event]{at, index, stepID, took}, true
	case KindLost:
		return []field[Event]{at, index, stepID, took, detail}, true
	case KindWrong:
		return []field[Event]{at, index, stepID, took, detail, optionalReply}, true
	case KindUnreachable:
		return []field[Event]{at, index, stepID, detail}, true
	case KindStray:
		return []field[Event]{at, optionalIndex, optionalStepID, stray, detail, optionalReply}, true
	case KindDropped:
		return []field[Event]{at, count}, true
	case KindInterval:
		return []field[Event]{at, index, stepID, interval, kept}, true
	case KindEnd:
		return []field[Event]{at,
			{name: "cause", at: func(e *Event) any { return &e.End.Cause }},
			{name: "counts", at: func(e *Event) any { return &e.End.Counts }}}, true
	default:
		return nil, false
	}
}

func startFields() []field[Event] {
	return []field[Event]{
		{name: "format", at: func(e *Event) any { return &e.Start.Format }},
		{name: "client", at: func(e *Event) any { return &e.Start.Client }},
		{name: "agent", at: func(e *Event) any { return &e.Start.Agent },
			absent: func(e *Event) bool { return e.Start.Agent == "" }},
		{name: "host", at: func(e *Event) any { return &e.Start.Host }},
		{name: "address", at: func(e *Event) any { return &e.Start.Address }},
		{name: "session", at: func(e *Event) any { return &e.Start.Session },
			absent: func(e *Event) bool { return e.Start.Session == "" }},
		{name: "time", at: func(e *Event) any { return &e.Start.Time }},
		{name: "procedure", at: func(e *Event) any { return &e.Start.Procedure }},
	}
}

func procedureFields() []field[Procedure] {
	return []field[Procedure]{
		{name: "name", at: func(p *Procedure) any { return &p.Name }},
		{name: "sha256", at: func(p *Procedure) any { return &p.SHA256 }},
		{name: "steps", at: func(p *Procedure) any { return &p.Steps }},
	}
}

func stepFields() []field[Step] {
	return []field[Step]{
		{name: "step_id", at: func(s *Step) any { return &s.StepID }},
		{name: "timeout", at: func(s *Step) any { return &s.Timeout }},
		{name: "interval", at: func(s *Step) any { return &s.Interval }},
	}
}
