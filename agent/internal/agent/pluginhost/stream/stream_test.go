package stream

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestAFullStreamSaysSo(t *testing.T) {
	s := &Stream{slots: make(chan struct{}), lost: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.acquireSlot(ctx); err == nil || err.Error() != fmt.Sprintf("%d steps wait for the plugin: context canceled", maxInFlight) {
		t.Errorf("got %v", err)
	}
	s.err = ErrStopped
	close(s.lost)
	var lost *LostError
	if err := s.acquireSlot(t.Context()); !errors.As(err, &lost) {
		t.Errorf("got %v", err)
	}
}
