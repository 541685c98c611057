package load

import (
	"context"
	"os"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// policies returns the scheduling policies of the threads of this process.
func policies(t *testing.T) (all []int) {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Error(err)
	}
	for _, task := range tasks {
		id, err := strconv.Atoi(task.Name())
		if err != nil {
			t.Error(err)
		}
		policy, _, errno := unix.Syscall(unix.SYS_SCHED_GETSCHEDULER, uintptr(id), 0, 0)
		if errno == 0 && !slices.Contains(all, int(policy)) { // else the thread has just ended
			all = append(all, int(policy))
		}
	}
	return all
}

// A generator that only sends when it has a reply gives way; one that has times for it does not.
func TestGivesWay(t *testing.T) {
	for name, c := range map[string]struct {
		rate float64
		want int
	}{
		"closed loop": {0, unix.SCHED_BATCH},
		"at a rate":   {1000, unix.SCHED_NORMAL},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			during := make(chan []int, 1)
			agent := newFakeAgent(t, func(place int, r request) string {
				if place == 100 {
					during <- policies(t)
					cancel()
				}
				return r.right()
			})
			o := options(t, agent.address, 4)
			o.Rate = c.rate
			result, err := Run(ctx, o)
			if err != nil || len(result.Troubles()) > 0 {
				t.Fatalf("%v, and %+v", err, result.Troubles())
			}
			if got := <-during; !slices.Equal(got, []int{c.want}) {
				t.Errorf("policies during the load: %v, want %d", got, c.want)
			}
			if after := policies(t); !slices.Equal(after, []int{unix.SCHED_NORMAL}) {
				t.Errorf("policies after it: %v, want %d", after, unix.SCHED_NORMAL)
			}
		})
	}
}
