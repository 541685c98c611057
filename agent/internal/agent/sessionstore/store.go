// Package sessionstore keeps sessions beyond the agent's process: one record a committed step, which
// is stored before the step is answered.
//
// The file store is an append-only log in a folder. What its records survive, the end of the process
// or a power cut, is an option; see Open.
package sessionstore

import (
	"context"
	"errors"
	"time"
)

// A Store keeps sessions beyond the agent's process. It is safe for concurrent use; of one key, one
// commit is made at a time, and none together with Forget.
//
// A commit has two halves, so that those of several sessions can be stored together:
//
//	c, err := store.Begin(record, was)
//	if err == nil {
//		now, err = store.Wait(ctx, c)
//	}
//
// The error of either is ErrAway, ErrInDoubt or ErrConflict, perhaps wrapped. In all three the revision
// was stays the one to give to the next commit of the key.
type Store interface {
	// Begin begins to store a record instead of the revision was. It does not wait. The record is not
	// kept. Without an error, Wait must be called.
	Begin(r *Record, was Revision) (Commit, error)
	// Wait waits until the record is as durable as the store promises, and returns the new revision.
	// It is called once for each commit. Those that were begun before are stored together with it.
	Wait(ctx context.Context, c Commit) (Revision, error)
	// Waits reports whether Wait takes longer than a write to the memory of the system. It does not
	// change. Where it is false, a commit may wait for the disk all the same after a write that has
	// failed: it begins a new log, which is synced.
	Waits() bool
	// Forget removes what is stored under the key, at the latest with the next commit of any key.
	// It does not wait and never fails.
	Forget(key string)
	// Restored returns the records that were found when the store was opened, sorted by key. It may
	// be called once.
	Restored() []Restored
	// Status returns the present state. It does not wait for a disk.
	Status() Status
	// Close marks a clean stop, makes all records durable, so that they survive a reboot too, and
	// closes the store. Later commits fail with ErrAway.
	Close() error
}

// A Commit is a record that is being stored. Its fields are for the store.
type Commit struct {
	Revision Revision // the new one
	Number   int
	Of       any
}

// Errors of Store.Begin and Store.Wait.
var (
	// ErrAway says that the record is surely not stored. Where it is wrapped, the error is a sentence
	// with the cause and what to do.
	ErrAway = errors.New("the session cannot be stored")
	// ErrInDoubt says that the record may be stored or not, which the next commit of the key
	// settles. Until then the step must not be answered.
	ErrInDoubt = errors.New("it is not known whether the session was stored")
	// ErrConflict says that the revision is not the one that is stored. With a store that no other
	// agent writes, that is a defect of the caller.
	ErrConflict = errors.New("the stored session is another than the one to be replaced")
)

// The levels of durability, as the config names them.
const (
	// Nothing keeps sessions in memory alone; there is no store then.
	Nothing = "nothing"
	// Restart keeps them beyond a restart or a crash of the agent.
	Restart = "restart"
	// PowerCut keeps them beyond a power cut too.
	PowerCut = "power_cut"
)

// A Status is the state of a store.
type Status struct {
	// Survives is Restart or PowerCut, and Nothing without a store.
	Survives string `json:"survives"`
	Dir      string `json:"dir,omitempty"`
	// Bucket is the bucket of a store in NATS, Server whether and with which server it is connected, and
	// Replicas how many servers have the bucket; Survives is then the least that any bucket gives.
	Bucket   string `json:"bucket,omitempty"`
	Server   string `json:"server,omitempty"`
	Replicas int    `json:"replicas,omitempty"`
	// Bytes is the size of the logs together, without files that were set aside; or that of the bucket.
	Bytes int64 `json:"bytes"`
	// Sessions is the number of keys; of a shared store those whose last step this agent has stored.
	Sessions int `json:"sessions"`
	// LastCommit is when a record was last stored; zero before the first.
	LastCommit time.Time `json:"last_commit,omitzero"`
	// Commits, Syncs and Snapshots count since the start: records, waits for the disk, and logs that
	// were begun anew to save space.
	Commits   uint64 `json:"commits"`
	Syncs     uint64 `json:"syncs"`
	Snapshots uint64 `json:"snapshots"`
	// Conflicts, Loads and Resent count what a shared store has done since the start: commits that lost to
	// another agent, keys that were read, and records that were sent again.
	Conflicts uint64 `json:"conflicts"`
	Loads     uint64 `json:"loads"`
	Resent    uint64 `json:"resent"`
	// Trouble says why nothing can be stored at present, and what to do; empty while commits
	// succeed.
	Trouble string `json:"trouble,omitempty"`
	// Restored counts the sessions that were found at the start, Dropped those that could not be
	// brought back as far as their number is known, and DroppedWhy says why; empty when none is
	// missing.
	Restored   int    `json:"restored"`
	Dropped    int    `json:"dropped"`
	DroppedWhy string `json:"dropped_why,omitempty"`
	// Damaged are the names of files that were set aside at this start.
	Damaged []string `json:"damaged,omitempty"`
	// Warnings say what is doubtful about the store though it works.
	Warnings []string `json:"warnings,omitempty"`
}
