package server_test

import (
	"io"
	"log/slog"
	"testing"
)

// TestMessageDuringStaleEvent: a connection that was parked on one loop and now is on another may be
// served by the first, by an event of before. A message that its own loop is told of meanwhile is read
// after that.
func TestMessageDuringStaleEvent(t *testing.T) {
	loops := newLoops(t, 1)
	listener := listen(t)
	by := newHolding(t, 2, 4)
	h := startIn(t, loops, listener, defaults(), slog.New(slog.NewTextHandler(io.Discard, nil)), by)
	p, other := h.dial(t), h.dial(t)
	p.step()
	other.step()
	h.park(t, 2)

	other.send(`{"step_id":4}`)
	<-by.reached[4] // the loop is busy
	p.send(`{"step_id":2}`)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			h.StaleReady(p.LocalAddr())
			select {
			case <-by.reached[2]:
				return
			default: // the message has not arrived
			}
		}
	}()
	<-by.reached[2]
	p.send(`{"step_id":3}`)
	close(by.let[4])
	other.expect(`{"step_id":4,`)
	other.send(`{"step_id":5}`)
	other.expect(`{"step_id":5,`) // the loop has handled the events that came before
	close(by.let[2])
	p.expect(`{"step_id":2,"error_code":0}`)
	p.expect(`{"step_id":3,"error_code":0}`)
	<-done
}
