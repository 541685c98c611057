package natsstore

import "strings"

// Subjects of a bucket are those of the key-value stores of NATS, so that its tools show what it holds.
const (
	streamPrefix  = "KV_"
	subjectPrefix = "$KV."
)

// stream returns the name of the bucket's stream.
func (s *Store) stream() string { return streamPrefix + s.opts.Bucket }

// subject returns the subject of a key.
func (s *Store) subject(key string) string {
	return subjectPrefix + s.opts.Bucket + "." + escape(key)
}

// escape returns a session's id as a key of NATS: a letter, a digit, "-" and "_" stand for themselves, and
// any other byte is "=" with two hexadecimal digits. Two ids never have the same key.
func escape(id string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(id))
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		default:
			b.Write([]byte{'=', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
