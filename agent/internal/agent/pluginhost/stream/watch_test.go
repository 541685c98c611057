package stream

import (
	"strings"
	"testing"
	"time"
)

func TestCheckCalls(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, test := range map[string]struct {
		heard  time.Duration // ago
		sent   time.Duration // ago
		left   time.Duration // to the deadline
		silent bool
		want   string
	}{
		"just sent":                    {heard: time.Hour, sent: time.Millisecond, left: time.Second},
		"others are answered":          {heard: time.Millisecond, sent: time.Second, left: time.Second},
		"silent":                       {heard: time.Hour, sent: watchInterval, left: time.Second, silent: true},
		"silent since an answer":       {heard: watchInterval, sent: time.Second, left: time.Second, silent: true},
		"over, others are answered":    {heard: time.Millisecond, sent: time.Second, left: -stuckTime},
		"over for long":                {heard: 0, sent: time.Minute, left: -stuckTime - 1, want: "stuck on a step"},
		"over and nothing since":       {heard: 2 * time.Second, sent: time.Second, left: -lateTime, want: "said nothing since"},
		"over, but just sent":          {heard: 2 * time.Second, sent: hungTime - 1, left: -lateTime, silent: true},
		"over, the answer on its way":  {heard: 2 * time.Second, sent: time.Second, left: -lateTime + 1, silent: true},
		"at its deadline, nothing yet": {heard: 2 * time.Second, sent: time.Second, left: 0, silent: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Stream{state: state{heard: ago(test.heard), sent: map[uint64]*call{
				1: {sentAt: ago(test.sent), deadline: now.Add(test.left)}}}}
			silent, err := s.checkCalls(now)
			if silent != test.silent || (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v", silent, err)
			}
		})
	}
	if silent, err := (&Stream{}).checkCalls(now); silent || err != nil {
		t.Errorf("an idle stream: %v, %v", silent, err)
	}
}
