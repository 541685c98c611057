package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// known answers one request with its req, so that the client knows that the agent recognizes reqs.
func known(then ...func(*peer)) func(*peer) {
	return func(p *peer) {
		_, _ = p.next()
		p.send(echoed)
		for _, act := range then {
			act(p)
		}
	}
}

// The acts of a script at the next request.
var (
	pass   = func(p *peer) { _, _ = p.next(); p.send(echoed) }
	ignore = func(p *peer) { _, _ = p.next() }
	refuse = func(reason protocol.Reason) func(*peer) {
		return func(p *peer) {
			_, _ = p.next()
			p.send(fmt.Sprintf(`{"step_id":1,"error_code":1,"req":$REQ,"reason":%q}`, reason))
		}
	}
	drained = (*peer).drain
)

// serving makes a script of acts.
func serving(acts ...func(*peer)) func(*peer) {
	return func(p *peer) {
		for _, act := range acts {
			act(p)
		}
	}
}

// away is a dialer for which no agent listens from one time to another, counted from its making.
func away(from, to time.Duration, scripts ...func(*peer)) func(context.Context, string, string) (net.Conn, error) {
	began, dial := time.Now(), dialer(scripts...)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if now := time.Since(began); now >= from && now < to {
			return nil, errRefused
		}
		return dial(ctx, network, address)
	}
}

// A retried is the outcome of the second of two requests.
type retried struct {
	client.Result
	err    error
	causes string // of the retries
	reqs   int    // different ones
	sent   int
}

// second sends two requests over connections of dial, and returns the outcome of the second. The
// steps are a second apart.
func second(t *testing.T, opts client.Options, request protocol.Request) retried {
	t.Helper()
	var r retried
	var causes []string
	reqs := map[protocol.ReqID]bool{}
	opts.OnRetry = func(again client.Retry) {
		causes = append(causes, string(again.Cause))
		if (again.Err == nil) == (again.Reply == nil) || again.Tries != r.sent || again.At.After(time.Now()) || again.Took < 0 {
			t.Errorf("retry %+v", again)
		}
	}
	opts.OnSent = func(request protocol.Request) { reqs[request.Req] = true; r.sent++ }
	c, err := client.Dial(t.Context(), "agent:8080", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	reqs, r.sent = map[protocol.ReqID]bool{}, 0
	r.Result, r.err = c.Exchange(t.Context(), request)
	r.causes, r.reqs = strings.Join(causes, " "), len(reqs)
	return r
}

// A request that got no verdict is sent again with its req, until there is one or the time is over.
// The agent is away from one second to another; the request is sent at the first second.
func TestRetry(t *testing.T) {
	const timeout = 20 * time.Second
	lost, stopping := serving(ignore), known(refuse(protocol.ShuttingDown), drained)
	tests := []struct {
		name     string
		to       time.Duration // until which the agent is away
		scripts  []func(*peer)
		retryFor time.Duration
		want     error
		reason   protocol.Reason
		tries    int
		// causes are those of the retries, without repetitions.
		causes string
		// least and most bound how long the agent is away by the result.
		least, most time.Duration
	}{
		{"answered at once", 0, []func(*peer){known(pass, drained)}, 0, nil, "", 1, "", 0, 0},
		{"lost", 0, []func(*peer){known(ignore), serving(pass, drained)}, 0, nil, "", 2, "lost", 25 * time.Millisecond, 50 * time.Millisecond},
		{"lost twice", 0, []func(*peer){known(ignore), lost, serving(pass, drained)}, 0, nil, "", 3, "lost", 75 * time.Millisecond, 150 * time.Millisecond},
		{"away for three seconds", 4 * time.Second, []func(*peer){known(ignore), serving(pass, drained)}, 0, nil, "", 2,
			"lost unreachable", 3 * time.Second, 4 * time.Second},
		{"lost before it", 0, []func(*peer){known(), serving(pass, drained)}, 0, nil, "", 1, "lost", 0, 0},
		{"away before it", 4 * time.Second, []func(*peer){known(), serving(pass, drained)}, 0, nil, "", 1,
			"lost unreachable", 4 * time.Second, 5 * time.Second},
		{"busy", 0, []func(*peer){known(refuse(protocol.Busy), refuse(protocol.Busy), pass, drained)}, 0, nil, "", 3,
			"busy", 75 * time.Millisecond, 150 * time.Millisecond},
		{"no validator", 0, []func(*peer){known(refuse(protocol.ValidatorUnavailable), pass, drained)}, 0, nil, "", 2,
			"validator_unavailable", 25 * time.Millisecond, 50 * time.Millisecond},
		{"stops and is back", 3 * time.Second, []func(*peer){stopping, serving(pass, drained)}, 0, nil, "", 2,
			"shutting_down unreachable", 2 * time.Second, 3 * time.Second},
		{"stops for good", time.Hour, []func(*peer){stopping}, 0, nil, protocol.ShuttingDown, 1,
			"shutting_down unreachable", timeout - 2*time.Second, timeout},
		{"lost, and refused by the next", 0, []func(*peer){known(ignore), serving(refuse(protocol.OutOfOrder), drained)}, 0, nil, protocol.OutOfOrder, 2,
			"lost", 25 * time.Millisecond, 50 * time.Millisecond},
		{"away for good", time.Hour, []func(*peer){known(ignore)}, 0, client.ErrTimeout, "", 1, "lost unreachable", timeout, timeout},
		{"away for longer than the client tries", time.Hour, []func(*peer){known(ignore)}, 5 * time.Second, client.ErrConnectionLost, "", 1,
			"lost unreachable", 4 * time.Second, 5 * time.Second},
		{"never there again", time.Hour, []func(*peer){known()}, 0, client.ErrUnreachable, "", 0, "lost unreachable", timeout - time.Second, timeout + time.Second},
		{"busy for good", 0, []func(*peer){known(append(slicesOf(30, refuse(protocol.Busy)), drained)...)}, 5 * time.Second, nil, protocol.Busy, 12,
			"busy", 3 * time.Second, 5 * time.Second},
		{"back, and silent", 0, []func(*peer){known(ignore), serving(ignore, drained)}, 0, client.ErrTimeout, "", 2,
			"lost", 25 * time.Millisecond, 50 * time.Millisecond},
		{"not to be tried again", 0, []func(*peer){known(ignore), serving(pass, drained)}, -1, client.ErrConnectionLost, "", 1, "", 0, 0},
		{"busy, and not to be tried again", 0, []func(*peer){known(refuse(protocol.Busy), pass, drained)}, -1, nil, protocol.Busy, 1, "", 0, 0},
		{"internal is for people", 0, []func(*peer){known(refuse(protocol.Internal), pass, drained)}, 0, nil, protocol.Internal, 1, "", 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				r := second(t, client.Options{Dial: away(time.Nanosecond, tt.to, tt.scripts...), RetryFor: tt.retryFor}, inSession(step(1, timeout)))
				if !errors.Is(r.err, tt.want) || (tt.want == nil) != (r.err == nil) || r.Reply.Reason != tt.reason {
					t.Errorf("reply %+v, error %v", r.Reply, r.err)
				}
				about := tt.tries / 4 // the pauses are random
				if r.Tries < tt.tries-about || r.Tries > tt.tries+about || r.sent != r.Tries || r.reqs != min(r.Tries, 1) {
					t.Errorf("%d tries, %d sent with %d reqs, want %d", r.Tries, r.sent, r.reqs, tt.tries)
				}
				if got := strings.Join(compact(strings.Fields(r.causes)), " "); got != tt.causes {
					t.Errorf("causes %q, want %q", got, tt.causes)
				}
				if r.Away < tt.least || r.Away > tt.most {
					t.Errorf("away for %v, want %v to %v", r.Away, tt.least, tt.most)
				}
				if took := time.Since(began); took > time.Second+timeout {
					t.Errorf("it took %v", took)
				}
				if errors.Is(r.err, client.ErrTimeout) && r.Done.Sub(r.Sent) != timeout {
					t.Errorf("timed out after %v", r.Done.Sub(r.Sent))
				}
			})
		})
	}
}

// slicesOf returns n times the same act.
func slicesOf(n int, act func(*peer)) []func(*peer) {
	acts := make([]func(*peer), n)
	for i := range acts {
		acts[i] = act
	}
	return acts
}

// compact leaves out repetitions.
func compact(words []string) []string {
	var once []string
	for _, word := range words {
		if len(once) == 0 || once[len(once)-1] != word {
			once = append(once, word)
		}
	}
	return once
}

// inSession returns the request for a session that has a name.
func inSession(r protocol.Request) protocol.Request {
	r.Session = "bench"
	return r
}

// A request without a req or a session, or to an agent that may not know reqs, is sent once: it might be
// judged twice.
func TestRequestsThatAreNotSentAgain(t *testing.T) {
	plain := func(act func(*peer)) func(*peer) { return func(p *peer) { _, _ = p.next(); p.send(bare); act(p) } }
	tests := []struct {
		name    string
		opts    client.Options
		scripts []func(*peer)
		want    error
	}{
		{"an agent that sends no req back", client.Options{}, []func(*peer){plain(func(*peer) {}), lostAtOnce, serving(pass, drained)}, client.ErrConnectionLost},
		{"no session", client.Options{}, []func(*peer){known(ignore), serving(pass, drained)}, client.ErrConnectionLost},
		{"no req", client.Options{NoReq: true}, []func(*peer){plain(func(*peer) {}), lostAtOnce, serving(pass, drained)}, client.ErrConnectionLost},
		{"no req, and away", client.Options{NoReq: true}, []func(*peer){plain(func(*peer) {})}, client.ErrUnreachable},
		{"plain", client.Options{Plain: true}, []func(*peer){func(p *peer) { _, _ = p.conn.Read(make([]byte, 512)); p.send(bare) }}, client.ErrUnreachable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tt.opts.Dial = dialer(tt.scripts...)
				r := second(t, tt.opts, step(1, 5*time.Second))
				if !errors.Is(r.err, tt.want) || r.Tries > 1 || r.causes != "" || r.Away != 0 {
					t.Errorf("%d tries, causes %q, error %v", r.Tries, r.causes, r.err)
				}
			})
		})
	}
}

// lostAtOnce closes the connection after the request.
var lostAtOnce = serving(ignore)

// To an agent that was never heard, only a request that was not sent is sent again.
func TestRetryBeforeTheFirstReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := client.Dial(t.Context(), "agent:8080", client.Options{Dial: away(time.Second, 3*time.Second, lostAtOnce, lostAtOnce, serving(pass, drained))})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if result, err := c.Exchange(t.Context(), step(1, time.Minute)); !errors.Is(err, client.ErrConnectionLost) || result.Tries != 1 {
			t.Errorf("%d tries, error %v", result.Tries, err)
		}
		time.Sleep(time.Second)
		if result, err := c.Exchange(t.Context(), step(1, time.Minute)); !errors.Is(err, client.ErrConnectionLost) || result.Tries != 1 || result.Away < 2*time.Second {
			t.Errorf("%d tries, away %v, error %v", result.Tries, result.Away, err)
		}
	})
}

// The time since a connection was lost counts once, though each request that cannot be sent finds it lost.
func TestAwayAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lost, back = time.Second, 30 * time.Second
		opts := client.Options{Dial: away(time.Nanosecond, back, known(), serving(pass, drained)), RetryFor: 2 * time.Second}
		began := time.Now()
		c, err := client.Dial(t.Context(), "agent:8080", opts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
			t.Fatal(err)
		}
		var sum time.Duration
		for id := int64(2); time.Since(began) < back; id++ {
			time.Sleep(lost)
			result, _ := c.Exchange(t.Context(), step(id, time.Minute))
			sum += result.Away
		}
		if most := time.Since(began); sum < back-3*lost || sum > most {
			t.Errorf("away for %v in all, within %v", sum, most)
		}
	})
}

// A refusalError is an error of Options.Dial after which trying again is of no use.
type refusalError struct{}

func (refusalError) Error() string { return "the certificate has expired" }
func (refusalError) Final() bool   { return true }

// What ends a request ends its retries: the context, Close, and an error that is final.
func TestEndOfRetries(t *testing.T) {
	enough := errors.New("enough")
	tests := []struct {
		name string
		end  func(*client.Client, context.CancelCauseFunc)
		dial error
		want error
	}{
		{"cancelled", func(_ *client.Client, cancel context.CancelCauseFunc) { cancel(enough) }, errRefused, enough},
		{"closed", func(c *client.Client, _ context.CancelCauseFunc) { _ = c.Close() }, errRefused, net.ErrClosed},
		{"refused", func(*client.Client, context.CancelCauseFunc) {}, refusalError{}, refusalError{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dial, dialled := dialer(known(ignore)), false
				c, err := client.Dial(t.Context(), "agent:8080", client.Options{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					if dialled {
						return nil, tt.dial
					}
					dialled = true
					return dial(ctx, network, address)
				}})
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = c.Close() }()
				if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				time.AfterFunc(3*time.Second, func() { tt.end(c, cancel) })
				began := time.Now()
				_, err = c.Do(ctx, inSession(step(1, time.Hour)))
				if took := time.Since(began); !errors.Is(err, tt.want) || took > 4*time.Second {
					t.Errorf("error %v after %v", err, took)
				}
			})
		})
	}
}

// The reply to a request that was sent again, and then timed out, is late by the time since the first sending.
func TestLateReplyToARepeatedRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := func(p *peer) {
			_, _ = p.next()
			time.Sleep(5 * time.Second)
			p.send(strings.ReplaceAll(echoed, "$REQ", p.req))
			p.drain()
		}
		c, strays := dial(t, client.Options{RetryFor: time.Minute}, known(refuse(protocol.Busy), late))
		if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
			t.Fatal(err)
		}
		result, err := c.Exchange(t.Context(), step(1, 4*time.Second))
		if !errors.Is(err, client.ErrTimeout) || result.Tries != 2 || result.Done.Sub(result.Sent) != 4*time.Second {
			t.Errorf("%d tries, error %v", result.Tries, err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if kinds(*strays) != "late" || (*strays)[0].Took < 5*time.Second {
			t.Errorf("strays %+v", *strays)
		}
	})
}
