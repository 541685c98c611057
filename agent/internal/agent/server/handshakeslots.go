package server

import (
	"runtime"
	"slices"
	"sync"
	"time"
)

// handshakeSlots limit the processor time of handshakes. A handshake needs a slot while it computes,
// from what it has read until it reads or writes again, so clients that are slow hold none. There is
// one slot for each processor that the agent uses.
//
// While handshakes wait, a slot rests for pauseFactor times the time that it was used. So however many
// clients connect, handshakes take at most 1/(1+pauseFactor) of the processors, and the steps of other
// clients go on. The time is that of the clock: on a busy machine the pauses are longer.
type handshakeSlots struct {
	mu   sync.Mutex // guards the fields below
	free int
	// waiting are the handshakes that wait, the newest last, which is served first: under a flood the
	// oldest have hardly any time left, and serving them would make all fail.
	waiting []chan struct{}
	owed    time.Duration // pause that has not been made, because it was shorter than minPause
}

const (
	pauseFactor = 3
	// minPause is the shortest pause; the runtime's timers are not more exact on an idle machine.
	minPause = time.Millisecond
)

func newHandshakeSlots() *handshakeSlots { return &handshakeSlots{free: runtime.GOMAXPROCS(0)} }

// enter waits for a slot. It returns false, without one, when the time is over or the server stops.
func (h *handshakeSlots) enter(until time.Time, stopping <-chan struct{}) bool {
	h.mu.Lock()
	if h.free > 0 {
		h.free--
		h.mu.Unlock()
		return true
	}
	granted := make(chan struct{})
	h.waiting = append(h.waiting, granted)
	h.mu.Unlock()

	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-granted:
		return true
	case <-timer.C:
	case <-stopping:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.waiting, granted)
	if i < 0 {
		return true // granted meanwhile
	}
	h.waiting = slices.Delete(h.waiting, i, i+1)
	return false
}

// leave gives a slot back that was used for this long.
func (h *handshakeSlots) leave(used time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) > 0 {
		h.owed += pauseFactor * used
		if pause := h.owed; pause >= minPause {
			h.owed = 0
			time.AfterFunc(pause, h.release)
			return
		}
	}
	h.grant()
}

// release gives a slot back after its pause.
func (h *handshakeSlots) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.grant()
}

// grant hands a slot to the newest handshake that waits. The caller holds mu.
func (h *handshakeSlots) grant() {
	last := len(h.waiting) - 1
	if last < 0 {
		h.free++
		h.owed = 0
		return
	}
	close(h.waiting[last])
	h.waiting[last] = nil
	h.waiting = h.waiting[:last]
}
