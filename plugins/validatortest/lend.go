package validatortest

import (
	"bytes"

	"github.com/stepagent/stepagent/plugins/validator"
)

// What is lent has room behind it, filled with a mark: in the agent, the bytes there may be
// those of another session.
const (
	roomBytes = 16
	mark      = 0xa5
)

// lend returns the question with slices that nobody else holds.
func lend(q question) question {
	q.session.State = withRoom(q.session.State)
	q.step.Data = withRoom(q.step.Data)
	return q
}

func withRoom(b []byte) []byte {
	if b == nil {
		return nil
	}
	lent := make([]byte, len(b)+roomBytes)
	for i := copy(lent, b); i < len(lent); i++ {
		lent[i] = mark
	}
	return lent[:len(b)]
}

// intact reports whether what was lent, and the room behind it, is as it was.
func intact(lent, original []byte) bool {
	for _, b := range lent[len(lent):cap(lent)] {
		if b != mark {
			return false
		}
	}
	return bytes.Equal(lent, original)
}

// scribble makes the bytes unusable for whoever still holds them.
func scribble(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

func clone(v validator.Verdict) validator.Verdict {
	v.State = bytes.Clone(v.State)
	if v.Fault != nil {
		fault := *v.Fault
		v.Fault = &fault
	}
	return v
}
