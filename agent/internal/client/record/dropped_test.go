package record

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func dropped(n int) Event { return Event{Kind: KindDropped, Count: n} }

func TestFoldAddsUpWhatWasDropped(t *testing.T) {
	events := timed(start(1), sent(1), stray(StrayUnsolicited, 0), dropped(1), dropped(41), replied(1, 0),
		end(Finished, Counts{Passed: 1}))
	run, err := Fold(events)
	if err != nil || run.Dropped != 42 || run.Unasked() != 43 || run.Verdict != Pass {
		t.Errorf("%d dropped, %d in all, %v, error %v", run.Dropped, run.Unasked(), run.Verdict, err)
	}
	back, err := decodeEvent([]byte(`{"event":"dropped","at":3,"count":1}`))
	if diff := cmp.Diff(events[3], back, exactly); err != nil || diff != "" {
		t.Errorf("error %v, %s", err, diff)
	}
	const most = int(^uint(0) >> 1)
	for _, wrong := range [][]Event{{dropped(0)}, {dropped(-1)}, {dropped(most), dropped(1)}} {
		if _, err := Fold(timed(append([]Event{start(1)}, wrong...)...)); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
