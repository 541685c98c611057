package session_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepagent/stepagent/agent/internal/agent/session"
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

func TestNotARepeatedRequest(t *testing.T) {
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

// TestStoppedBeforeItsTurn: a step that waits for another one can be given up, and leaves no
// trace.
func TestStoppedBeforeItsTurn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(a *agent) {
		c, d := a.connect(here), a.connect(there)
		slow := request("a", 1, 1)
		slow.Data = order{Takes: 4 * time.Second}.data()
		first := make(chan session.Answer, 1)
		go func() { first <- do(c, slow) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		sent := time.Now()
		a.want("2 shutting_down", doWithin(ctx, d, request("a", 2, 2), sent))
		if took := time.Since(sent); took != time.Second {
			t.Errorf("took %v, want until the context ended", took)
		}
		for range 20 { // ended already, though the turn is free
			a.want("1 shutting_down", d.Do(ctx, named("never", 1), time.Now()))
		}
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
		a.want("2 shutting_down", doWithin(ctx, c, slow, time.Now()))
		a.want("2 ok", do(c, named("a", 2)))
		c.Close()
	})
}
