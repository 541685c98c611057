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
	at := began.Add
	put := func(n, look time.Duration) { d.put(at(n), at(look), tell) }
	early := func(n time.Duration) bool { return d.early(at(n), d.at, tell) == nil }
	put(10, 10) // told
	put(20, 20)
	put(30, 30)
	if early(30) {
		t.Error("the true deadline counts as early")
	}
	if !early(10) { // 30 is told
		t.Error("the deadline before counts as the true one")
	}
	put(40, 40)
	put(50, 25) // told
	put(25, 40)
	if !early(24) { // told
		t.Error("too early")
	}
	if early(25) {
		t.Error("too late")
	}
	if len(told) != 4 || told[0] != 10 || told[1] != 30 || told[2] != 25 || told[3] != 25 {
		t.Errorf("told %v", told)
	}
}
