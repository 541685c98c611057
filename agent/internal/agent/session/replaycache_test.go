package session_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func TestReplayCacheIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.RememberedReplies = 3
		a := newAgent(t, "resync", o)
		c := a.connect(here)
		for id := range int64(5) {
			a.want(ok(id+1), do(c, request("a", id+1, id+1)))
		}
		for id := int64(3); id <= 5; id++ {
			a.want(ok(id)+" replayed", do(c, request("a", id, id)))
		}
		a.want("2 out_of_order", do(c, request("a", 2, 2)))
		a.want("3 ok", do(c, request("a", 3, 3))) // forgotten in favour of the one before

		o.RememberedReplies = 1
		a.SetOptions(o)
		a.want("4 ok", do(c, request("a", 4, 14)))
		a.want("4 ok replayed", do(c, request("a", 4, 14)))
		a.want("3 out_of_order", do(c, request("a", 3, 3)))
		c.Close()
		a.check()
		a.expire()
	})
}

// TestRepliesExpireAfterIdleTimeout, counted from the end of the session.
func TestRepliesExpireAfterIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 1
		a := newAgent(t, "advance", o)
		a.want("1 ok end", a.once(here, request("a", 1, 1)))
		a.SetOptions(o) // the same, which changes nothing
		time.Sleep(options.IdleTimeout - 1)
		a.want("1 ok end replayed", a.once(here, request("a", 1, 1)))
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		a.want("1 ok end", a.once(here, request("a", 1, 1)))
		a.check()
		a.expire()
	})
}

// TestLongestRetainedIsEvictedFirst when there are too many.
func TestLongestRetainedIsEvictedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps, o.MaxOpen = 1, 3
		a := newAgent(t, "advance", o)
		c := a.connect(here)
		for n, name := range []string{"a", "b", "c"} {
			a.want("1 ok end", do(c, request(name, 1, int64(n))))
		}
		a.want("1 ok end", do(c, request("a", 1, 9))) // a rests anew
		a.want("1 ok end", do(c, request("d", 1, 3)))
		a.check()
		a.want("1 ok end replayed", do(c, request("a", 1, 0)))
		a.want("1 ok end replayed", do(c, request("c", 1, 2)))
		a.want("1 ok end replayed", do(c, request("d", 1, 3)))
		a.want("1 ok end", do(c, request("b", 1, 1)))
		if got := c.Names(); got != 3 {
			t.Errorf("the connection keeps %d names, want those that are in the tables, 3", got)
		}

		o.MaxOpen = 1
		a.SetOptions(o)
		a.want("1 ok end", do(c, request("e", 1, 4)))
		if got := c.Names(); got != 1 {
			t.Errorf("the connection keeps %d names after the limit is 1", got)
		}
		c.Close()
		a.check()
		a.expire()
	})
}

// TestConnectionOwnsNamesInUse: a gateway names a new session for every run and
// never closes its connection.
func TestConnectionOwnsNamesInUse(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		for n := range 100 {
			a.want("1 ok", do(c, named(fmt.Sprint("run-", n), 1)))
			time.Sleep(options.IdleTimeout / 2)
		}
		if got := c.Names(); got > 5 {
			t.Errorf("the connection keeps %d names", got)
		}
	})
}

// TestEvictedWhileNextSessionBegins: another name needs the room at that very
// moment. The step is judged where other connections find its session.
func TestEvictedWhileNextSessionBegins(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps, o.MaxOpen = 2, 2
		a := newAgent(t, "advance", o)
		c, d := a.connect(here), a.connect(there)
		for _, name := range []string{"a", "b"} {
			a.want("1 ok", do(c, named(name, 1)))
			a.want("2 ok end", do(c, named(name, 2)))
		}
		a.first.Store(new(func() { a.want("1 ok", do(d, named("c", 1))) })) // a makes room for c
		a.want("1 ok", do(c, named("a", 1)))
		a.check()
		a.want("2 ok end", do(d, named("a", 2)))
		a.want("2 ok end", do(c, named("c", 2)))
		c.Close()
		d.Close()
		a.check()
		a.expire()
	})
}
