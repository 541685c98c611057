package natsstore

import (
	"context"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// An error that is not known to come before the message was stored leaves it in doubt.
func TestFate(t *testing.T) {
	answer := func(code jetstream.ErrorCode, description string) error {
		return fmt.Errorf("nats: %w", &jetstream.APIError{Code: 400, ErrorCode: code, Description: description})
	}
	for _, test := range []struct {
		err  error
		want fate
	}{
		{nil, stored},
		{answer(10071, "wrong last sequence: 7"), conflicts},
		{answer(10164, "wrong last sequence"), inProcess},
		{answer(10077, "maximum bytes exceeded"), refused},
		{answer(10077, "disk error"), unknown},
		{answer(10023, "insufficient resources"), refused},
		{answer(19999, "new in a later version"), unknown},
		{jetstream.ErrNoStreamResponse, refused},
		{errNotConnected, refused},
		{nats.ErrReconnectBufExceeded, refused},
		{nats.ErrDisconnected, unknown},
		{nats.ErrConnectionClosed, unknown},
		{nats.ErrTimeout, unknown},
		{context.DeadlineExceeded, unknown},
		{jetstream.ErrInvalidJSAck, unknown},
	} {
		if got := fateOf(test.err); got != test.want {
			t.Errorf("%v: fate %d, want %d", test.err, got, test.want)
		}
	}
}
