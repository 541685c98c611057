package judge

import "iter"

// Memory is the State of each validator in a session, by the validator's name. It is immutable, so that
// a judgement that is not stored leaves no trace. The zero value is empty.
type Memory []remembered

type remembered struct {
	name  string
	state []byte
}

func (m Memory) state(name string) []byte {
	for _, r := range m {
		if r.name == name {
			return r.state
		}
	}
	return nil
}

// appendStates appends the states of the validators to dst.
func (m Memory) appendStates(dst [][]byte, names []string) [][]byte {
	for _, name := range names {
		dst = append(dst, m.state(name))
	}
	return dst
}

func (m Memory) with(name string, state []byte) Memory {
	if len(state) == 0 {
		return m
	}
	return append(m, remembered{name: name, state: state})
}

// All iterates over the validators that have a State, in the chain's order, with their States, which
// must not be written to.
func (m Memory) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for _, r := range m {
			if !yield(r.name, r.state) {
				return
			}
		}
	}
}

// CollectMemory returns the Memory that All iterates over: to continue a session that was stored. It
// keeps the States. A State whose validator is not in the chain any more is dropped by the next
// judgement.
func CollectMemory(states iter.Seq2[string, []byte]) Memory {
	var m Memory
	for name, state := range states {
		m = m.with(name, state)
	}
	return m
}
