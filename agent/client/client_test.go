package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

func TestDoReturnsTheReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, strays := dial(t, client.Options{}, func(p *peer) {
			r, _ := p.next()
			if r.Req.IsZero() {
				t.Error("the request has no req")
			}
			time.Sleep(3 * time.Second)
			p.send(`{"step_id":1,"error_code":2,"req":$REQ,"reason":"out_of_order","detail":"why"}`)
			p.drain()
		})
		result, err := c.Exchange(t.Context(), step(1, 5*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if result.Reply.ErrorCode != 2 || result.Reply.Reason != protocol.OutOfOrder || result.Reply.Detail != "why" {
			t.Errorf("reply = %+v", result.Reply)
		}
		if took := result.Done.Sub(result.Sent); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		if len(*strays) != 0 {
			t.Errorf("strays %+v", *strays)
		}
	})
}

func TestRequestsWaitForOneAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, strays := dial(t, client.Options{}, func(p *peer) {
			for {
				if _, ok := p.next(); !ok {
					return
				}
				time.Sleep(time.Second)
				p.send(echoed)
			}
		})
		errs := make(chan error)
		for range 3 {
			go func() {
				_, err := c.Do(t.Context(), step(1, 2*time.Second))
				errs <- err
			}()
		}
		for range 3 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		// The wait for the turn counts towards the context.
		go func() { _, _ = c.Do(t.Context(), step(1, 2*time.Second)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Do(ctx, step(1, time.Second)); !errors.Is(err, client.ErrTimeout) {
			t.Errorf("error %v, want a timeout", err)
		}
		time.Sleep(time.Minute)
		if len(*strays) != 0 {
			t.Errorf("strays %+v", *strays)
		}
	})
}

// Strays come one at a time, also when the connection changes, and none after Close.
func TestStraysComeOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open, closed := 0, false
		script := func(p *peer) { _, _ = p.next(); p.send(echoed + "garbage"); p.drain() }
		c, err := client.Dial(t.Context(), "agent:8080", client.Options{
			Dial: dialer(script, script),
			OnStray: func(client.Stray) {
				if open++; open > 1 || closed {
					t.Errorf("%d strays at once, closed %t", open, closed)
				}
				time.Sleep(time.Second)
				open--
				if closed {
					t.Error("Close did not wait")
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
				t.Error(err)
			}
		}
		_ = c.Close()
		closed = true
		time.Sleep(time.Minute)
	})
}

// A plain client sends what clients send that know of neither session nor req, byte for
// byte, each request over its own connection.
func TestPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan string, 2)
		script := func(p *peer) {
			buf := make([]byte, 512)
			n, _ := p.conn.Read(buf)
			got <- string(buf[:n])
			p.send(fmt.Sprintf(`{"step_id":%c,"error_code":0}`, buf[len(`{"step_id":`)]))
			if n, err := p.conn.Read(buf); err == nil {
				t.Errorf("more came: %q", buf[:n])
			}
		}
		c, _ := dial(t, client.Options{Plain: true}, script, script)
		for id := range int64(2) {
			r := step(id, 5*time.Second)
			r.Interval = protocol.Seconds(time.Second)
			if _, err := c.Do(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			if sent, want := <-got, fmt.Sprintf(`{"step_id":%d,"timeout":5,"interval":1}`, id); sent != want {
				t.Errorf("sent %q, want %q", sent, want)
			}
		}
	})
}

// Sessions answer a req that they know from memory, and their names may be used again.
func TestReqsDifferBetweenClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[protocol.ReqID]bool{}
		note := func(r protocol.Request) {
			if seen[r.Req] || r.Req.IsZero() {
				t.Errorf("req %s again", r.Req)
			}
			if name := strings.Trim(r.Req.String(), `"`); len(name) > protocol.MaxNameBytes {
				t.Errorf("req %s is too long", name)
			}
			seen[r.Req] = true
		}
		for range 3 {
			c, _ := dial(t, client.Options{OnSent: note}, func(p *peer) {
				for {
					if _, ok := p.next(); !ok {
						return
					}
					p.send(echoed)
				}
			})
			for range 3 {
				if _, err := c.Do(t.Context(), step(1, time.Second)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if len(seen) != 9 {
			t.Errorf("%d reqs", len(seen))
		}
	})
}

// Without names of its own a client sends what it is given, and takes bare replies.
func TestNoReq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reqs []string
		c, strays := dial(t, client.Options{NoReq: true}, func(p *peer) {
			for {
				r, ok := p.next()
				if !ok {
					return
				}
				reqs = append(reqs, r.Req.String())
				p.send(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, r.StepID))
			}
		})
		for id := range int64(2) {
			if _, err := c.Do(t.Context(), step(id, time.Second)); err != nil {
				t.Error(err)
			}
		}
		own := step(2, time.Second)
		own.Req = protocol.TextReq("mine")
		if _, err := c.Do(t.Context(), own); err != nil {
			t.Error(err)
		}
		if got := strings.Join(reqs, " "); got != `  "mine"` || len(*strays) != 0 {
			t.Errorf("reqs %q, strays %+v", reqs, *strays)
		}
	})
}
