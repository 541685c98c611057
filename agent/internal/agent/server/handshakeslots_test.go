package server

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandshakesTakeAShare: past a burst, handshakes compute for a quarter of the time, whether many wait
// or one client comes again and again.
func TestHandshakesTakeAShare(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		slots, clients int
		cost           time.Duration
	}{{1, 1, 100 * time.Microsecond}, {1, 20, 100 * time.Microsecond}, {2, 20, 100 * time.Microsecond}, {2, 2, 10 * time.Millisecond}, {2, 20, 10 * time.Millisecond}} {
		synctest.Test(t, func(t *testing.T) {
			h := newHandshakeSlots(c.slots)
			ends := time.Now().Add(second)
			var made atomic.Int64
			for range c.clients {
				go func() {
					for h.enter(ends, nil) && time.Now().Before(ends) {
						time.Sleep(c.cost)
						made.Add(1)
						h.leave(c.cost)
					}
				}()
			}
			time.Sleep(2 * second)
			synctest.Wait()
			share := (time.Duration(c.slots)*second + handshakeBurst) / (1 + restFactor)
			computed := time.Duration(made.Load()) * c.cost
			if slack := time.Duration(c.slots) * c.cost; computed < share*9/10-slack || computed > share*11/10+slack {
				t.Errorf("%+v: handshakes computed for %v in a second, want about %v", c, computed, share)
			}
		})
	}
}

// TestFewHandshakesDoNotRest: up to a burst, and those that come now and then.
func TestFewHandshakesDoNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, began := newHandshakeSlots(1), time.Now()
		handshake := func(cost time.Duration) {
			h.enter(began.Add(time.Hour), nil)
			time.Sleep(cost)
			h.leave(cost)
		}
		for range 10 {
			handshake(time.Millisecond)
		}
		if took := time.Since(began); took != 10*time.Millisecond {
			t.Errorf("ten handshakes took %v", took)
		}
		began = time.Now()
		for range 100 {
			time.Sleep(10 * time.Millisecond)
			handshake(time.Millisecond)
		}
		if took := time.Since(began); took != 1100*time.Millisecond {
			t.Errorf("a hundred handshakes now and then took %v", took)
		}
	})
}

// TestSlotsAfterPause: when the process stood still while handshakes computed, the next ones wait for
// seconds and no longer.
func TestSlotsAfterPause(t *testing.T) {
	for _, slots := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			h := newHandshakeSlots(slots)
			for range slots {
				h.enter(time.Time{}, nil)
			}
			time.Sleep(time.Hour)
			for range slots {
				h.leave(time.Hour)
			}
			for range slots {
				if !h.enter(time.Now().Add((1+restFactor)*maxCharge), nil) {
					t.Errorf("%d slots: none is free within the time", slots)
				}
			}
			time.Sleep(time.Hour) // until all have rested
		})
	}
}

// TestNewestHandshakeFirst: of those that wait the newest gets the slot; the others get none when their
// time is over or the server stops.
func TestNewestHandshakeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stopping := newHandshakeSlots(1), make(chan struct{})
		h.enter(time.Time{}, nil)
		var got [4]bool
		var order []int
		for i := range got {
			until := time.Now().Add(time.Hour)
			if i == 0 {
				until = time.Now().Add(time.Second)
			}
			go func() {
				if got[i] = h.enter(until, stopping); got[i] {
					order = append(order, i)
				}
			}()
			synctest.Wait()
		}
		h.leave(0)
		synctest.Wait()
		h.leave(0)
		synctest.Wait()
		time.Sleep(time.Second)
		close(stopping)
		synctest.Wait()
		if !slices.Equal(order, []int{3, 2}) || len(h.waiting) != 0 {
			t.Errorf("slots went to %v, %d wait", order, len(h.waiting))
		}
		h.leave(0)
		if h.free != 1 {
			t.Errorf("%d slots are free", h.free)
		}
	})
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"a", "a", true}, {"a", "ab", false}, {"a", "", false}, {"", "", true}, {"*", "", true}, {"*", "a/b", true},
		{"spiffe://x/*", "spiffe://x/station/7", true}, {"spiffe://x/*", "spiffe://x/", true}, {"spiffe://x/*", "spiffe://x", false},
		{"*.example", "a.b.example", true}, {"*.example", "example", false}, {"a*b", "ab", true}, {"a*b", "aXbXb", true}, {"a*b", "a", false},
		{"a*a", "a", false}, {"a*b*c", "a1b2b3c", true}, {"a*b*c", "abbc", true}, {"a*b*c", "acb", false}, {"a**b", "ab", true}, {"?", "a", false},
		{"[a]", "a", false}, {"station-7-*", "station-7-1", true}, {"station-7-*", "station-71", false},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("matches(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		b := make([]byte, random.IntN(8))
		for i := range b {
			b[i] = "ab*"[random.IntN(3)]
		}
		return string(b)
	}
	for range 20_000 {
		pattern, text := text(), strings.ReplaceAll(text(), "*", "c")
		want := regexp.MustCompile("^(?:" + strings.ReplaceAll(pattern, "*", ".*") + ")$").MatchString(text)
		if got := matches(pattern, text); got != want {
			t.Fatalf("matches(%q, %q) = %v", pattern, text, got)
		}
	}
	rule := ClientRule{Sessions: []string{"a-*", "b"}}
	if !rule.mayUse("a-1") || !rule.mayUse("b") || rule.mayUse("c") || !(&ClientRule{}).mayUse("c") {
		t.Error("a rule for session names")
	}
}
