package pluginhost

import (
	"slices"
	"strings"
	"sync"

	"github.com/stepagent/stepagent/agent/internal/agent/latency"
	"github.com/stepagent/stepagent/agent/internal/agent/verdictcache"
)

// Counts are what neighbouring validators, which share a process, have done.
type Counts struct {
	// Validators are their names.
	Validators []string
	// Serving says that a process serves; Refusing and the next are those of Status.
	Serving  bool
	Refusing bool
	Restarts uint64
	Steps    uint64
	Errors   uint64
	Kept     verdictcache.Status
	// Took is how long the calls took, including the wait for a process; Queued is how long they
	// waited in the queue of the process.
	Took   latency.Snapshot
	Queued latency.Snapshot
}

// add adds what others have counted.
func (c *Counts) add(other *Counts) {
	c.Restarts += other.Restarts
	c.Steps += other.Steps
	c.Errors += other.Errors
	c.Kept.Hits += other.Kept.Hits
	c.Kept.Misses += other.Kept.Misses
	c.Kept.Differing += other.Kept.Differing
	c.Took.Add(&other.Took)
	c.Queued.Add(&other.Queued)
}

// counts returns the counts of every process, in the config's order. Unlike Status it never waits.
func (s *Set) counts() []Counts {
	all := make([]Counts, len(s.supervisors))
	for i, v := range s.supervisors {
		all[i] = v.counts()
	}
	return all
}

func (s *supervisor) counts() Counts {
	s.mu.Lock()
	serving, restarts := s.state == Serving, s.restarts
	s.mu.Unlock()
	c := Counts{
		Validators: s.group.names, Serving: serving, Refusing: s.group.phase.Load().refusal != nil,
		Restarts: restarts, Errors: s.group.errors.Load(), Kept: s.cache.Status(),
		Took: s.group.took.Snapshot(), Queued: s.group.queued.Snapshot(),
	}
	c.Steps = c.Kept.Hits + s.group.steps.Load()
	return c
}

// Totals are the counts of the sets that are in force one after another, which never go down while a
// validator stays in the config. Sets that were replaced and still judge their last steps count too. It
// is safe for concurrent use.
type Totals struct {
	mu      sync.Mutex // guards the fields below
	inForce *Set
	ending  []*Set
	ended   map[string]*Counts // of the sets before, by the names of the validators in force
}

// NewTotals returns the totals of a set and of those that replace it.
func NewTotals(first *Set) *Totals { return &Totals{inForce: first, ended: map[string]*Counts{}} }

// Replace puts another set in force. End must be called once the replaced one is closed.
func (t *Totals) Replace(next *Set) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = append(t.ending, t.inForce)
	t.inForce = next
	kept := map[string]*Counts{}
	for _, v := range next.supervisors {
		if ended := t.ended[key(v.group.names)]; ended != nil {
			kept[key(v.group.names)] = ended
		}
	}
	t.ended = kept
}

// End says that a replaced set counts no more.
func (t *Totals) End(old *Set) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ending = slices.DeleteFunc(t.ending, func(s *Set) bool { return s == old })
	for _, c := range old.counts() {
		k := key(c.Validators)
		if !slices.ContainsFunc(t.inForce.supervisors, func(v *supervisor) bool { return key(v.group.names) == k }) {
			continue
		}
		if t.ended[k] == nil {
			t.ended[k] = &Counts{}
		}
		t.ended[k].add(&c)
	}
}

// Counts returns the counts of every process in force, in the config's order, together with those of
// the processes of the same validators before it.
func (t *Totals) Counts() []Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := map[string][]Counts{}
	for _, old := range t.ending {
		for _, c := range old.counts() {
			before[key(c.Validators)] = append(before[key(c.Validators)], c)
		}
	}
	all := t.inForce.counts()
	for i := range all {
		k := key(all[i].Validators)
		if ended := t.ended[k]; ended != nil {
			all[i].add(ended)
		}
		for _, c := range before[k] {
			all[i].add(&c)
		}
	}
	return all
}

// key identifies the process of neighbouring validators over reloads.
func key(validators []string) string { return strings.Join(validators, "\n") }
