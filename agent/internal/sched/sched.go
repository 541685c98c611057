// Package sched has threads give way: they run when a core has nothing else to do or when it is
// their turn, and not, at the moment when something has come for them, in the place of the thread
// that has just sent it. See SCHED_BATCH in sched(7).
//
// A step goes through three processes, and each is woken by the one before, which is about to do the
// same for the next step. Where there are fewer cores than processes, an interruption each time
// makes small batches of large ones.
//
// It is a wish. Where it cannot be granted, without Linux or where system calls are filtered,
// everything works as well, and somewhat slower.
package sched
