package record

import (
	"cmp"
	"slices"
)

// A Move says that a run went on at another agent.
type Move struct {
	// Index is that of the first step whose request went there.
	Index int
	// Address is the agent's host and port.
	Address string
}

// Moves returns when the run went on at another agent, in order, by the agent to which the request of each
// step went last. One at index 1 says that it began at another than the one of the start.
func (r Run) Moves() []Move {
	var moves []Move
	at := r.Start.Address
	for i := range r.Steps {
		step := &r.Steps[i]
		to := cmp.Or(step.Address, r.Start.Address)
		if step.Tries > 0 && to != at {
			moves = append(moves, Move{Index: step.Index, Address: to})
			at = to
		}
	}
	return moves
}

// WithoutSession returns the address of the first agent with which the run went on and which certainly did not
// have its session, see SessionGone; empty for none.
func (r Run) WithoutSession() string {
	for _, m := range r.Moves() {
		if r.missedFirst(m.Index) {
			return m.Address
		}
	}
	return ""
}

// Addresses returns the addresses with which the run can go on: that of the agent at its end, then the others
// that were given with it, in their order after it.
func (r Run) Addresses() []string {
	all := r.Start.Addresses
	for _, resumption := range r.Resumptions {
		if resumption.Address != "" || len(resumption.Addresses) > 0 {
			all = resumption.Addresses
		}
	}
	at := slices.Index(all, r.Address)
	if at < 0 {
		return []string{r.Address}
	}
	return slices.Concat(all[at:], all[:at])
}
