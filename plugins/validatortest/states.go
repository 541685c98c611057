package validatortest

import (
	"bytes"
	"slices"

	"github.com/stepagent/stepagent/plugins/validator"
)

// ownStates returns some of the states that the validator returned.
func ownStates(asked []question) [][]byte {
	const enough = 4
	var own [][]byte
	for _, q := range asked {
		state := q.want.verdict.State
		known := slices.ContainsFunc(own, func(b []byte) bool { return bytes.Equal(b, state) })
		if q.decided() && len(state) > 0 && !known {
			own = append(own, state)
		}
		if len(own) == enough {
			break
		}
	}
	return own
}

// hostileStates returns states that the validator did not return: random ones of many lengths, and
// corrupted copies of its own.
func (g *generator) hostileStates(own [][]byte) [][]byte {
	states := [][]byte{
		{}, []byte("null"), []byte("{}"), []byte("[]"), []byte(`{"v":1}`), []byte("state"),
		make([]byte, validator.MaxStateBytes), bytes.Repeat([]byte{0xff}, validator.MaxStateBytes),
	}
	for b := range 32 {
		states = append(states, []byte{byte(b)})
	}
	for n := 2; n <= validator.MaxStateBytes; n *= 2 {
		noise := make([]byte, n)
		for i := range noise {
			noise[i] = byte(g.rand.Uint32())
		}
		states = append(states, noise)
	}
	for _, state := range own {
		states = append(states, state[:len(state)-1], append(bytes.Clone(state), 0))
		for i := range min(len(state), 16) {
			for _, b := range []byte{0x01, 0x80} {
				corrupt := bytes.Clone(state)
				corrupt[i] ^= b
				states = append(states, corrupt)
			}
		}
	}
	return states
}
