package load

import "time"

// longestSleep bounds how late a client sees that the load has been stopped.
const longestSleep = 100 * time.Millisecond

// A pace says when a client's steps are due.
type pace struct {
	run      *run
	interval time.Duration // between two steps; 0 in a closed loop
	due      time.Time     // of the step at hand
	now      time.Time     // when somebody looked at the clock last
}

// newPace returns the pace of one of the clients, whose steps are spread evenly between those
// of the others.
func newPace(r *run, number int) pace {
	p := pace{run: r, due: r.begins, now: r.begins}
	if rate := r.options.Rate; rate > 0 {
		p.interval = max(time.Duration(float64(r.options.Clients)*float64(time.Second)/rate), 1)
		p.due = r.begins.Add(time.Duration(float64(number) / float64(r.options.Clients) * float64(p.interval)))
	}
	return p
}

// first waits until the first step is due.
func (p *pace) first() (due time.Time, ok bool) {
	if p.interval == 0 {
		p.now = time.Now()
		p.due = p.now
		return p.due, !p.run.over(p.now)
	}
	return p.due, p.wait()
}

// next waits until the step after the last is due, which in a closed loop is when the reply
// to the last has come; false when no further step is to be sent.
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

// left returns how many steps were due and have not been sent when the load is over.
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
