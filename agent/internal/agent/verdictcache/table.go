package verdictcache

import (
	"hash/maphash"
	"slices"
	"sync"
	"unsafe"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/stepagent/stepagent/agent/internal/agent/judge"
)

const (
	// entryBytes is more than the overhead of an entry beside its key and answers.
	entryBytes = 256
	// largestShare bounds an entry to the limit of the table divided by largestShare.
	largestShare = 16
	// seenKeys is how many keys that were seen once are remembered.
	seenKeys = 4096
)

// A table is an LRU cache of answers by key, bounded in bytes. When it is half full, a key is admitted
// only when it is seen a second time, so that keys which never come again evict nothing. It is safe for
// concurrent use.
type table struct {
	limit int // in bytes
	seed  maphash.Seed

	mu      sync.Mutex // guards what follows
	entries *simplelru.LRU[string, []judge.Answer]
	bytes   int
	seen    *[seenKeys]uint64 // hashes of keys that were not admitted, by hash
}

func newTable(bytes int) *table {
	t := &table{limit: bytes, seed: maphash.MakeSeed(), seen: new([seenKeys]uint64)}
	// The number of entries is bounded by their bytes.
	t.entries, _ = simplelru.NewLRU(bytes/entryBytes+1, func(key string, answers []judge.Answer) {
		t.bytes -= weight(key, answers)
	})
	return t
}

// get returns the answers of a key, which must not be changed.
func (t *table) get(key []byte) ([]judge.Answer, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.entries.Get(asString(key))
}

// put stores a copy of the answers and of the key, if they are admitted.
func (t *table) put(key []byte, answers []judge.Answer) {
	bytes := weight(asString(key), answers)
	if bytes > t.limit/largestShare {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries.Contains(asString(key)) || t.bytes+bytes > t.limit/2 && !t.seenBefore(key) {
		return
	}
	kept := slices.Clone(answers)
	for i := range kept {
		kept[i].Queued, kept[i].Kept = 0, true
	}
	t.entries.Add(string(key), kept)
	for t.bytes += bytes; t.bytes > t.limit; {
		t.entries.RemoveOldest()
	}
}

// asString returns the bytes as a string, valid until they change.
func asString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// seenBefore reports whether the key was seen lately, and records it. The caller holds mu.
func (t *table) seenBefore(key []byte) bool {
	hash := maphash.Bytes(t.seed, key)
	at := &t.seen[hash%seenKeys]
	before := *at == hash
	*at = hash
	return before
}

// size returns the number of entries and their bytes.
func (t *table) size() (entries, bytes int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.entries.Len(), t.bytes
}

// weight returns the bytes of an entry.
func weight(key string, answers []judge.Answer) int {
	n := entryBytes + len(key) + len(answers)*int(unsafe.Sizeof(judge.Answer{}))
	for _, a := range answers {
		n += len(a.Verdict.State) + len(a.Verdict.Detail) + len(a.Verdict.Reason)
	}
	return n
}
