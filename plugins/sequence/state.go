package sequence

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The State of a session that is in step with its position is empty: the step that must
// come now follows from the position. Otherwise it is stateVersion and the id of the step
// that must come now, big-endian.
const (
	stateVersion = 1
	stateBytes   = 1 + 8
)

// wanted returns the step that must come now.
func (s *sequence) wanted(session validator.Session) (int64, error) {
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
		// Other settings left it, and nobody could ever send it: the session would be lost.
		return s.ids.at(uint64(session.Position)), nil
	}
	return want, nil
}

// stateAfter returns the State for the place after position, where want must come.
func (s *sequence) stateAfter(position int, want int64) []byte {
	if want == s.ids.at(uint64(position)+1) {
		return nil
	}
	return binary.BigEndian.AppendUint64([]byte{stateVersion}, uint64(want))
}
