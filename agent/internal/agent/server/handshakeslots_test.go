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

// TestHandshakesTakeAShare: while others wait, handshakes compute for a quarter of the time of each
// slot; without others there is no pause.
func TestHandshakesTakeAShare(t *testing.T) {
	for _, cost := range []time.Duration{100 * time.Microsecond, 10 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			const slots, second = 2, time.Second
			h := &handshakeSlots{free: slots}
			ends := time.Now().Add(second)
			var made atomic.Int64
			for range 20 {
				go func() {
					for h.enter(ends, nil) && time.Now().Before(ends) {
						time.Sleep(cost)
						made.Add(1)
						h.leave(cost)
					}
				}()
			}
			time.Sleep(2 * second)
			synctest.Wait()
			most := float64(slots*second/cost) / (1 + pauseFactor)
			if n := float64(made.Load()); n < 0.9*most || n > 1.1*most+slots {
				t.Errorf("%v handshakes of %v in a second, want about %v", n, cost, most)
			}

			h, ends = &handshakeSlots{free: 1}, time.Now().Add(second)
			began := time.Now()
			for range 10 {
				h.enter(ends, nil)
				time.Sleep(cost)
				h.leave(cost)
			}
			if took := time.Since(began); took != 10*cost {
				t.Errorf("ten handshakes one after the other took %v", took)
			}
		})
	}
}

// TestNewestHandshakeFirst: of those that wait the newest gets the slot; the others get none when their
// time is over or the server stops.
func TestNewestHandshakeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stopping := &handshakeSlots{free: 1}, make(chan struct{})
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
