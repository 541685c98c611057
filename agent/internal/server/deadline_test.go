package server

import (
	"testing"
	"time"
)

// A deadline that is put off is told again only when the one before has passed; one that comes
// sooner is told at once.
func TestDeadline(t *testing.T) {
	var told []time.Duration
	began := time.Now()
	tell := func(at time.Time) error {
		told = append(told, at.Sub(began))
		return nil
	}
	var d deadline
	d.put(began.Add(10), tell) // told
	d.put(began.Add(20), tell)
	d.put(began.Add(30), tell)
	if d.early(began.Add(30), tell) {
		t.Error("the true deadline counts as early")
	}
	if !d.early(began.Add(10), tell) { // 30 is told
		t.Error("the deadline before counts as the true one")
	}
	d.put(began.Add(40), tell)
	d.put(began.Add(25), tell) // told
	if !d.early(began.Add(24), tell) {
		t.Error("too early")
	}
	if d.early(began.Add(25), tell) {
		t.Error("too late")
	}
	if len(told) != 4 || told[0] != 10 || told[1] != 30 || told[2] != 25 || told[3] != 25 {
		t.Errorf("told %v", told)
	}
}
