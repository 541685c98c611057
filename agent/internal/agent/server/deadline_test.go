package server

import (
	"testing"
	"time"
)

// A deadline that is put off is armed again only when the one before has passed; one that comes
// sooner is armed at once.
func TestDeadline(t *testing.T) {
	var armed []time.Duration
	began := time.Now()
	arm := func(at time.Time) error {
		armed = append(armed, at.Sub(began))
		return nil
	}
	var d deadline
	at := began.Add
	put := func(n, check time.Duration) { d.extend(at(n), at(check), arm) }
	early := func(n time.Duration) bool { return d.timedOut(at(n), d.at, arm) == nil }
	put(10, 10) // armed
	put(20, 20)
	put(30, 30)
	if early(30) {
		t.Error("the true deadline counts as early")
	}
	if !early(10) { // 30 is armed
		t.Error("the deadline before counts as the true one")
	}
	put(40, 40)
	put(50, 25) // armed
	put(25, 40)
	if !early(24) { // armed
		t.Error("too early")
	}
	if early(25) {
		t.Error("too late")
	}
	if len(armed) != 4 || armed[0] != 10 || armed[1] != 30 || armed[2] != 25 || armed[3] != 25 {
		t.Errorf("armed %v", armed)
	}
}
