package server

import (
	"slices"
	"sync"
	"time"
)

// handshakeSlots limit the processor time of handshakes. A handshake needs a slot while it computes,
// from what it has read until it reads or writes again, so clients that are slow hold none. There is
// one slot for each processor that the agent uses.
//
// Past a burst, a slot rests for restFactor times the time that it was used. So however many clients
// connect, handshakes take at most 1/(1+restFactor) of the processors, and the steps of other clients
// go on. The time is that of the clock: on a busy machine slots rest longer.
type handshakeSlots struct {
	slots int

	mu   sync.Mutex // guards the fields below
	free int
	// waiting are the handshakes that wait, the newest last, which is served first: under a flood the
	// oldest have hardly any time left, and serving them would make all fail.
	waiting []chan struct{}
	// debt is the time of slots that was used or must rest for it, less the time that has passed; it
	// was right at settled.
	debt    time.Duration
	settled time.Time
}

const (
	restFactor = 4
	// handshakeBurst is the debt up to which no slot rests: some dozens of handshakes.
	handshakeBurst = 40 * time.Millisecond
	// maxCharge is the longest use that a slot rests for. By the clock a handshake takes longer only when
	// the process stood still meanwhile: after SIGSTOP, or with its virtual machine.
	maxCharge = time.Second
	// minRest is the shortest rest; the runtime's timers are not more exact on an idle machine.
	minRest = time.Millisecond
)

func newHandshakeSlots(slots int) *handshakeSlots {
	return &handshakeSlots{slots: slots, free: slots, settled: time.Now()}
}

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
	now := time.Now()
	h.debt = max(0, h.debt-time.Duration(h.slots)*now.Sub(h.settled)) + (1+restFactor)*min(used, maxCharge)
	h.settled = now
	if rest := (h.debt - handshakeBurst) / time.Duration(h.slots); rest >= minRest {
		time.AfterFunc(rest, h.release)
		return
	}
	h.grant()
}

// release gives a slot back after its rest.
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
		return
	}
	close(h.waiting[last])
	h.waiting[last] = nil
	h.waiting = h.waiting[:last]
}
