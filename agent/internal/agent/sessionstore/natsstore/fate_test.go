package natsstore

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An error that is not known to come before the message was stored leaves it in doubt. What a server says that
// has lost the others, or says nothing, is a reason to leave it.
func TestFate(t *testing.T) {
	answer := func(code jetstream.ErrorCode, description string) error {
		return fmt.Errorf("nats: %w", &jetstream.APIError{Code: 400, ErrorCode: code, Description: description})
	}
	for _, test := range []struct {
		err   error
		want  fate
		alone bool
	}{
		{nil, stored, true}, // which is no failure
		{answer(10071, "wrong last sequence: 7"), conflicts, false},
		{answer(10164, "wrong last sequence"), inProcess, true},
		{answer(10077, "maximum bytes exceeded"), refused, false},
		{answer(10077, "disk error"), unknown, false},
		{answer(10008, "system temporarily unavailable"), refused, true},
		{answer(10023, "insufficient resources"), refused, false},
		{answer(19999, "new in a later version"), unknown, false},
		{jetstream.ErrNoStreamResponse, refused, true},
		{errNotConnected, refused, true},
		{nats.ErrReconnectBufExceeded, refused, true},
		{nats.ErrDisconnected, unknown, true},
		{nats.ErrConnectionClosed, unknown, true},
		{nats.ErrTimeout, unknown, true},
		{context.DeadlineExceeded, unknown, true},
		{jetstream.ErrInvalidJSAck, unknown, true},
	} {
		if got := fateOf(test.err); got != test.want {
			t.Errorf("%v: fate %d, want %d", test.err, got, test.want)
		}
		if got := isAlone(test.err); got != test.alone {
			t.Errorf("%v: alone %t", test.err, got)
		}
	}
}
