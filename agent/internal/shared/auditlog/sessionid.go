package auditlog

import (
	"strings"
	"unicode/utf8"
)

// The id of a named session is its name. Where the session belongs to one owner alone, the mark of
// the kind of owner and the owner follow: the identity of a client's certificate, or an address.
// Names are ASCII and the marks are not, so no name is the id of another client's session.
const (
	IdentityMark = "·"
	AddressMark  = "←"
)

// SessionName returns the session name in an id; an id without a mark is returned as it is.
func SessionName(id string) string {
	if end := strings.IndexFunc(id, func(r rune) bool { return r >= utf8.RuneSelf }); end >= 0 {
		return id[:end]
	}
	return id
}
