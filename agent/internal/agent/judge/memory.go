package judge

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
