package sdk

import "time"

const (
	// slowStep is about how long one step may hold back the others.
	slowStep = 2 * time.Millisecond
	// calmLooks is after how many looks with nothing to see the watch sleeps.
	calmLooks = 50
)

// watch gives the lead, which has turn t now, to another goroutine when a step holds back the
// others.
func (p *port) watch(t *turn) {
	tick := time.NewTicker(slowStep)
	defer tick.Stop()
	last, calm := uint64(0), 0
	for {
		select {
		case <-tick.C:
		case <-p.ctx.Done():
			return
		}
		switch now := p.beat.Load(); {
		case now != last:
			last, calm = now, 0
		case now%2 == 1:
			if next := p.succeed(t, now); next != nil {
				t, last = next, now+1
			}
		default:
			calm++
		}
		if calm < calmLooks {
			continue
		}
		tick.Stop()
		if !p.sleep(last) {
			return
		}
		calm = 0
		tick.Reset(slowStep)
	}
}

// sleep waits until the leader begins a call after the given beat; false when the port ends.
func (p *port) sleep(beat uint64) bool {
	p.asleep.Store(true)
	defer p.asleep.Store(false)
	if p.beat.Load() != beat {
		return true
	}
	select {
	case <-p.wake:
		return true
	case <-p.ctx.Done():
		return false
	}
}

// succeed puts another leader in the place of one that has been held up since the given beat,
// and returns the new turn; nil when it got on after all, or too many goroutines are held up
// already, so that the agent must wait.
func (p *port) succeed(t *turn, beat uint64) *turn {
	if p.busy.Load() >= maxConcurrent || !p.beat.CompareAndSwap(beat, beat+1) {
		return nil
	}
	t.batch.shared = true
	next := &turn{beat: beat + 1, batch: t.batch, out: t.out}
	p.busy.Add(1)
	go p.lead(next)
	return next
}
