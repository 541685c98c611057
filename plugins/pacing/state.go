package pacing

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/stepagent/stepagent/plugins/validator"
)

// The State of a session is empty if its last step declared no interval. Otherwise it is stateVersion
// and the interval in nanoseconds, big-endian.
const (
	stateVersion = 1
	stateBytes   = 1 + 8
)

// encodeState returns the State for the declared interval of a step.
func encodeState(interval validator.Wait) []byte {
	if !interval.Declared {
		return nil
	}
	return binary.BigEndian.AppendUint64([]byte{stateVersion}, uint64(interval.Duration))
}

// decodeState returns the declared interval of the session's last step.
func decodeState(state []byte) (validator.Wait, error) {
	if len(state) == 0 {
		return validator.Wait{}, nil
	}
	if len(state) == stateBytes && state[0] == stateVersion {
		if ns := binary.BigEndian.Uint64(state[1:]); ns <= math.MaxInt64 {
			return validator.Wait{Duration: time.Duration(ns), Declared: true}, nil
		}
	}
	return validator.Wait{}, errors.New("the session's state is not that of this validator; begin a new session")
}
