package load

// A kind is a way in which a step or a connection can fail; right is none.
type kind uint8

const (
	right kind = iota

	wrongVerdict // another verdict or reason
	wrongStep    // a reply to another step
	wrongSession // a reply of another session
	wrongEnd     // the session ends at another step than expected
	wrongReply   // bytes that are not a reply
	unasked      // more bytes than the reply

	noReply      // none within the wait
	lost         // the connection closed or broke before the reply came
	unavailable  // validator_unavailable
	busy         // busy
	shuttingDown // shutting_down
	internal     // internal

	refused    // the agent did not accept a connection
	refusedTLS // client and agent could not agree on TLS

	kinds = int(iota)
)

// A Class is a class of kinds.
type Class string

// The classes.
const (
	// Wrong is a reply other than the expected one.
	Wrong Class = "wrong"
	// Missing is a step without a verdict.
	Missing Class = "missing"
	// Lost is a step without a verdict because the agent closed the connection.
	Lost Class = "lost"
	// Refused is a connection that the agent did not accept.
	Refused Class = "refused"
)

// descriptions has the class and the name of each kind.
var descriptions = [kinds]struct {
	class Class
	name  string
}{
	wrongVerdict: {Wrong, "wrong_verdict"},
	wrongStep:    {Wrong, "wrong_step"},
	wrongSession: {Wrong, "wrong_session"},
	wrongEnd:     {Wrong, "wrong_end"},
	wrongReply:   {Wrong, "wrong_reply"},
	unasked:      {Wrong, "unasked_reply"},
	noReply:      {Missing, "no_reply"},
	lost:         {Lost, "connection_lost"},
	unavailable:  {Missing, "validator_unavailable"},
	busy:         {Missing, "busy"},
	shuttingDown: {Lost, "shutting_down"},
	internal:     {Missing, "internal"},
	refused:      {Refused, "connection_refused"},
	refusedTLS:   {Refused, "tls_refused"},
}

// retryable reports whether the agent has not judged the step, so that it can be sent again. After
// any other failure the client begins a new session.
func (k kind) retryable() bool { return k == unavailable || k == busy || k == internal }
