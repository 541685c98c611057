package session_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/session"
	"github.com/stepagent/stepagent/agent/protocol"
)

// request is a step of a named session with a req.
func request(name string, id, req int64) protocol.Request {
	r := named(name, id)
	r.Req = protocol.NumReq(req)
	return r
}

// TestRepeatedRequestIsJudgedOnce: now, later, over another connection, after the session has
// ended, and whatever else stands in the request.
func TestRepeatedRequestIsJudgedOnce(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(there)
		defer c.Close()
		a.want("1 ok", do(c, request("a", 1, 1)))
		a.want("1 ok replayed", do(c, request("a", 1, 1)))
		bad := request("a", 7, 2)
		first := do(c, bad)
		a.want("7 out_of_order", first)
		again := do(d, request("a", 2, 2))
		a.want("7 out_of_order replayed", again)
		if diff := cmp.Diff(first.Reply, again.Reply, cmp.AllowUnexported(protocol.ReqID{})); diff != "" {
			t.Errorf("first - again +\n%s", diff)
		}
		a.want("3 ok", do(c, request("a", 3, 3)))
		for id := int64(4); id <= 10; id++ {
			do(c, request("a", id, id))
		}
		a.want("10 ok end replayed", do(d, request("a", 10, 10)))
		a.want("1 ok", do(d, request("a", 1, 11)))
		a.want("10 ok end replayed", do(d, request("a", 10, 10))) // in the midst of the next
		a.want("2 ok", do(d, request("a", 2, 12)))
		if got := a.Stats(); got.Replayed != 4 {
			t.Errorf("%d replayed, want 4", got.Replayed)
		}
		d.Close()
	})
}

func TestWhatIsNoRepeatedRequest(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		defer c.Close()
		a.want("1 ok", do(c, named("a", 1)))
		a.want("1 out_of_order", do(c, named("a", 1))) // no req
		number, text := request("b", 1, 7), request("b", 2, 0)
		text.Req = protocol.TextReq("7")
		a.want("1 ok", do(c, number))
		a.want("2 ok", do(c, text))               // "7" is not 7
		a.want("1 ok", do(c, request("c", 1, 7))) // another session
		a.want("1 ok", do(c, request("", 1, 7)))  // no session
		a.want("2 ok", do(c, request("", 2, 7)))  // neither here
		unsure := request("d", 1, 1)
		unsure.Data = order{Undecided: true}.data()
		a.want("1 validator_unavailable", do(c, unsure))
		a.want("1 ok", do(c, request("d", 1, 1))) // it had not been judged
	})
}

// TestRepeatedWhileBeingJudged: the second waits for the first and gets its reply.
func TestRepeatedWhileBeingJudged(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(there)
		defer c.Close()
		defer d.Close()
		slow := request("a", 1, 1)
		slow.Data = order{Takes: 300 * time.Millisecond}.data()
		first := make(chan session.Answer, 1)
		go func() { first <- do(c, slow) }()
		time.Sleep(100 * time.Millisecond)
		sent := time.Now()
		a.want("1 ok replayed", do(d, request("a", 1, 1)))
		if took := time.Since(sent); took != 200*time.Millisecond {
			t.Errorf("took %v, want the rest of the first", took)
		}
		a.want("1 ok", <-first)
	})
}

func TestSoManyRepliesAreRemembered(t *testing.T) {
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

// TestRepliesAreForgottenAfterTheIdleTimeout, counted from the end of the session.
func TestRepliesAreForgottenAfterTheIdleTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := options
		o.Steps = 1
		a := newAgent(t, "advance", o)
		a.want("1 ok end", a.once(here, request("a", 1, 1)))
		time.Sleep(options.IdleTimeout - 1)
		a.want("1 ok end replayed", a.once(here, request("a", 1, 1)))
		time.Sleep(1)
		synctest.Wait()
		a.want("1 ok end", a.once(here, request("a", 1, 1)))
		a.check()
		a.expire()
	})
}

// TestTheNameThatRestsLongestIsForgottenFirst when there are too many.
func TestTheNameThatRestsLongestIsForgottenFirst(t *testing.T) {
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

// TestConnectionOfManyNamesKeepsThoseInUse: a gateway names a new session for every run and
// never closes its connection.
func TestConnectionOfManyNamesKeepsThoseInUse(t *testing.T) {
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

// TestNameIsForgottenWhileItsNextSessionBegins: another name needs the room at that very
// moment. The step is judged where other connections find its session.
func TestNameIsForgottenWhileItsNextSessionBegins(t *testing.T) {
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

// TestStoppedBeforeItsTurn: a step that waits for another one can be given up, and leaves no
// trace.
func TestStoppedBeforeItsTurn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(there)
		slow := request("a", 1, 1)
		slow.Data = order{Takes: 5 * time.Second}.data()
		first := make(chan session.Answer, 1)
		go func() { first <- do(c, slow) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		sent := time.Now()
		a.want("2 shutting_down", d.Do(ctx, request("a", 2, 2), sent))
		if took := time.Since(sent); took != time.Second {
			t.Errorf("took %v, want until the context ended", took)
		}
		a.want("1 shutting_down", d.Do(ctx, named("never", 1), time.Now())) // ended already
		a.want("1 ok", <-first)
		a.want("2 ok", do(c, request("a", 2, 2)))
		c.Close()
		d.Close()
	})
}

// TestStoppedWhileBeingJudged: the step has not been judged.
func TestStoppedWhileBeingJudged(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c := a.connect(here)
		a.want("1 ok", do(c, named("a", 1)))
		slow := named("a", 2)
		slow.Data = order{Takes: time.Minute}.data()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		a.want("2 shutting_down", c.Do(ctx, slow, time.Now()))
		a.want("2 ok", do(c, named("a", 2)))
		c.Close()
	})
}
