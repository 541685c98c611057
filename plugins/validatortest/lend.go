package validatortest

import (
	"bytes"

	"github.com/stepagent/stepagent/plugins/validator"
)

// Lent slices have spare capacity filled with a mark: in the agent, the bytes there may belong to another
// session.
const (
	spareBytes = 16
	mark       = 0xa5
)

// lend returns the question with copies of its slices.
func lend(q question) question {
	q.session.State = withSpare(q.session.State)
	q.step.Data = withSpare(q.step.Data)
	return q
}

func withSpare(b []byte) []byte {
	if b == nil {
		return nil
	}
	lent := make([]byte, len(b)+spareBytes)
	for i := copy(lent, b); i < len(lent); i++ {
		lent[i] = mark
	}
	return lent[:len(b)]
}

// intact reports whether a lent slice and its spare capacity are unchanged.
func intact(lent, original []byte) bool {
	for _, b := range lent[len(lent):cap(lent)] {
		if b != mark {
			return false
		}
	}
	return bytes.Equal(lent, original)
}

// scribble overwrites the bytes, so that a validator that kept them gives wrong answers.
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
