package load

// A kind is what became of a step or a connection that did not go as it must.
type kind uint8

const (
	right kind = iota

	wrongVerdict // another verdict or reason
	wrongStep    // a reply to another step
	wrongSession // a reply of another session
	wrongEnd     // the session ends where it must not, or does not where it must
	wrongReply   // bytes that are no reply
	unasked      // more than the one reply

	noReply      // none within the wait
	lost         // the connection closed or broke before the reply came
	unavailable  // validator_unavailable
	busy         // busy
	shuttingDown // shutting_down
	internal     // internal

	refused // a connection was not made, or was turned away

	kinds = int(iota)
)

// A Class says whom a kind of trouble is about.
type Class string

// The classes.
const (
	// Wrong is a reply that came and is not the one that must come.
	Wrong Class = "wrong"
	// Missing is a step that got no verdict.
	Missing Class = "missing"
	// Lost is a step that got no verdict because the agent ended its connection.
	Lost Class = "lost"
	// Refused is a connection that the agent did not take.
	Refused Class = "refused"
)

// describe gives each kind its class and its name.
func (k kind) describe() (Class, string) {
	switch k {
	case wrongVerdict:
		return Wrong, "wrong_verdict"
	case wrongStep:
		return Wrong, "wrong_step"
	case wrongSession:
		return Wrong, "wrong_session"
	case wrongEnd:
		return Wrong, "wrong_end"
	case unasked:
		return Wrong, "unasked_reply"
	case noReply:
		return Missing, "no_reply"
	case lost:
		return Lost, "connection_lost"
	case unavailable:
		return Missing, "validator_unavailable"
	case busy:
		return Missing, "busy"
	case shuttingDown:
		return Lost, "shutting_down"
	case internal:
		return Missing, "internal"
	case refused:
		return Refused, "connection_refused"
	default:
		return Wrong, "wrong_reply"
	}
}

// again reports whether the step has taken no position and is to be sent once more as it is;
// after any other trouble the client begins anew.
func (k kind) again() bool { return k == unavailable || k == busy || k == internal }
