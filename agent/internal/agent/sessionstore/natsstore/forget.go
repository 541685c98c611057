package natsstore

import (
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxForgotten is how many keys may wait to be removed. Further ones stay until the bucket's TTL.
	maxForgotten = 4096
	// markerAge is how long the marker of a removed key stays, in a bucket that allows it. It is longer
	// than any commit that was sent before may be under way.
	markerAge = time.Hour
)

// Headers and values of a marker, as key-value stores of NATS have them.
const (
	operationHeader = "KV-Operation"
	operationPurge  = "PURGE"
)

// Forget implements sessionstore.Store. It removes the key if this store has stored its last revision,
// and leaves it to other agents otherwise.
func (s *Store) Forget(key string) {
	s.mu.Lock()
	k := s.keys[key]
	delete(s.keys, key)
	s.mu.Unlock()
	if !k.mine {
		return
	}
	select {
	case s.forgotten <- revision{key, k.sequence}:
	default:
	}
}

// removeForgotten removes what is forgotten until the store is closed, and what waits then.
func (s *Store) removeForgotten() {
	for {
		select {
		case r := <-s.forgotten:
			s.remove(r)
			continue
		default:
		}
		select {
		case r := <-s.forgotten:
			s.remove(r)
		case <-s.closing.Done():
			if s.conn.Connected() {
				_ = s.conn.FlushTimeout(s.opts.bounds.answer) // what stays is removed by the bucket's TTL
			}
			return
		}
	}
}

// remove replaces all revisions of a key by a marker, unless another one has been stored since.
func (s *Store) remove(r revision) {
	marker := nats.NewMsg(s.subject(r.key))
	marker.Header.Set(operationHeader, operationPurge)
	marker.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	s.mu.Lock()
	bucket := s.bucket
	s.mu.Unlock()
	if bucket.allowsTTL {
		marker.Header.Set(jetstream.MsgTTLHeader, markerAge.String())
	}
	marker.Header.Set(jetstream.ExpectedLastSubjSeqHeader, r.number())
	_ = s.conn.PublishMsg(marker) // without an answer; what stays is removed by the bucket's TTL
}
