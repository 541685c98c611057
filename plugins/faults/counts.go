package faults

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stepagent/stepagent/plugins/validator"
)

// counts holds the number of occurrences of each planned step in a session. A count stops one above the
// highest occurrence that a plan can name.
type counts map[int64]int64

const maxCount = maxOccurrence + 1

// A session's State is a record in JSON, with sorted ids, or empty if no planned step has come.
type record struct {
	Version int    `json:"v"`
	Seen    counts `json:"seen"`
}

const stateVersion = 1

// This does not compile unless the largest record fits into a State.
const _ = uint(validator.MaxStateBytes - len(`{"v":1,"seen":{}}`) - MaxPlan*len(`"-9223372036854775808":1000001,`))

func readCounts(state []byte) (counts, error) {
	if len(state) == 0 {
		return counts{}, nil
	}
	var r record
	if err := json.Unmarshal(state, &r); err != nil {
		return nil, fmt.Errorf("the session's state is not that of this validator, begin a new session: %w", err)
	}
	if r.Version != stateVersion || r.Seen == nil {
		return nil, errors.New("the session's state is not that of this validator, begin a new session")
	}
	for id, n := range r.Seen {
		if n < 1 || n > maxCount {
			return nil, fmt.Errorf("the session's state says that step %d came %d times; begin a new session", id, n)
		}
	}
	return r.Seen, nil
}

func (c counts) add(id int64) { c[id] = min(c[id]+1, maxCount) }

func (c counts) state() ([]byte, error) {
	if len(c) == 0 {
		return nil, nil
	}
	return json.Marshal(record{Version: stateVersion, Seen: c})
}
