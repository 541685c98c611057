package load

import "time"

// longestSleep bounds how late a client notices that the load has been stopped.
const longestSleep = 100 * time.Millisecond

// A pace says when a client's steps are due.
type pace struct {
	run      *run
	interval time.Duration // between two steps; 0 in a closed loop
	due      time.Time     // of the current step
	now      time.Time     // the last reading of the clock
}

// newPace returns the pace of a client before its first step. The steps of all clients are spread
// evenly.
func newPace(r *run, number int) pace {
	p := pace{run: r, now: time.Now()}
	if rate := r.options.Rate; rate > 0 {
		p.interval = max(time.Duration(float64(r.options.Clients)*float64(time.Second)/rate), 1)
		offset := time.Duration(float64(number) / float64(r.options.Clients) * float64(p.interval))
		p.due = r.begins.Add(offset - p.interval)
	}
	return p
}

// next waits until the next step is due, in a closed loop not at all. It returns false if no further
// step may be sent.
func (p *pace) next() (due time.Time, ok bool) {
	if p.interval == 0 {
		p.due = p.now
		return p.due, !p.run.over(p.now)
	}
	p.due = p.due.Add(p.interval)
	return p.due, p.wait()
}

func (p *pace) wait() bool {
	for {
		if !p.due.Before(p.run.ends) || p.run.over(p.now) {
			return false
		}
		early := p.due.Sub(p.now)
		if early <= 0 {
			return true
		}
		time.Sleep(min(early, longestSleep))
		p.now = time.Now()
	}
}

// left returns how many steps were due and not sent at the end of the load.
func (p *pace) left() int {
	end := p.run.ends
	if p.now.Before(end) {
		end = p.now
	}
	if p.interval == 0 || !p.due.Before(end) {
		return 0
	}
	return int((end.Sub(p.due) + p.interval - 1) / p.interval)
}
