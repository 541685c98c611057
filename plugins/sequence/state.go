package sequence

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The State of a session is empty if the expected step follows from the position. Otherwise it is
// stateVersion and the id of the expected step, big-endian.
const (
	stateVersion = 1
	stateBytes   = 1 + 8
)

// expected returns the step that must come next in the session.
func (s *sequence) expected(session validator.Session) (int64, error) {
	if session.Position < 0 {
		return 0, fmt.Errorf("position %d is below 0", session.Position)
	}
	state := session.State
	if s.afterBadStep == advance || len(state) == 0 {
		return s.ids.at(uint64(session.Position)), nil
	}
	if len(state) != stateBytes || state[0] != stateVersion {
		return 0, errors.New("the session's state is not that of this validator; begin a new session")
	}
	want := int64(binary.BigEndian.Uint64(state[1:]))
	if s.afterBadStep == hold && !s.ids.contains(want) {
		// The state is from other settings, and no client can send this id. Start over.
		return s.ids.at(uint64(session.Position)), nil
	}
	return want, nil
}

// stateAfter returns the State after the step at position, when want is the next expected step.
func (s *sequence) stateAfter(position int, want int64) []byte {
	if want == s.ids.at(uint64(position)+1) {
		return nil
	}
	return binary.BigEndian.AppendUint64([]byte{stateVersion}, uint64(want))
}
