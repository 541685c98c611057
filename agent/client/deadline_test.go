package client_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A reply is in time before the deadline, and late exactly at it.
func TestDeadline(t *testing.T) {
	const timeout = 5 * time.Second
	tests := []struct {
		name  string
		reply time.Duration
		want  error
	}{
		{"a nanosecond before", timeout - 1, nil},
		{"exactly then", timeout, client.ErrTimeout},
		{"a nanosecond after", timeout + 1, client.ErrTimeout},
	}
	limits := map[string]func(context.Context) (context.Context, protocol.Request, context.CancelFunc){
		"of the request": func(ctx context.Context) (context.Context, protocol.Request, context.CancelFunc) {
			return ctx, step(2, timeout), func() {}
		},
		"of the context": func(ctx context.Context) (context.Context, protocol.Request, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(ctx, timeout)
			return ctx, protocol.Request{StepID: 2}, cancel
		},
	}
	for limit, with := range limits {
		for _, tt := range tests {
			t.Run(tt.name+" "+limit, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, strays := dial(t, client.Options{}, func(p *peer) {
						_, _ = p.next()
						p.send(echoed)
						_, _ = p.next()
						time.Sleep(tt.reply)
						p.send(`{"step_id":2,"error_code":0,"req":$REQ}`)
						p.drain()
					})
					if _, err := c.Do(t.Context(), step(1, timeout)); err != nil {
						t.Fatal(err)
					}
					ctx, request, cancel := with(t.Context())
					defer cancel()
					result, err := c.Exchange(ctx, request)
					if !errors.Is(err, tt.want) || result.Reply.OK() != (tt.want == nil) {
						t.Errorf("reply %+v, error %v, want %v", result.Reply, err, tt.want)
					}
					if took := result.Done.Sub(result.Sent); took != min(tt.reply, timeout) {
						t.Errorf("took %v", took)
					}
					time.Sleep(time.Second)
					synctest.Wait()
					late := len(*strays) == 1 && (*strays)[0].Kind == client.Late &&
						(*strays)[0].Request.StepID == 2 && (*strays)[0].Took == tt.reply
					if late != (tt.want != nil) {
						t.Errorf("strays %+v", *strays)
					}
				})
			})
		}
	}
}

// A step that waits for nothing is sent all the same, and the connection is not harmed.
func TestTimeoutOfZeroIsSentAndTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := 0
		c, _ := dial(t, client.Options{}, func(p *peer) {
			for {
				if _, ok := p.next(); !ok {
					return
				}
				seen++
				p.send(echoed)
			}
		})
		if _, err := c.Do(t.Context(), step(1, time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(t.Context(), step(1, 0)); !errors.Is(err, client.ErrTimeout) {
			t.Errorf("error %v, want a timeout", err)
		}
		if _, err := c.Do(t.Context(), step(1, time.Second)); err != nil {
			t.Errorf("after it: %v", err)
		}
		if seen != 3 {
			t.Errorf("the agent saw %d requests", seen)
		}
	})
}

// An agent that reads nothing holds a request up until its timeout, or until the caller has
// enough, and not for ever.
func TestAgentThatDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		wait := func(*peer) { <-release }
		c, _ := dial(t, client.Options{}, wait, wait)
		result, err := c.Exchange(t.Context(), step(1, 3*time.Second))
		if !errors.Is(err, client.ErrTimeout) || result.Done.Sub(result.Sent) != 3*time.Second {
			t.Errorf("error %v after %v", err, result.Done.Sub(result.Sent))
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		result, err = c.Exchange(ctx, step(2, 3*time.Second))
		if !errors.Is(err, context.Canceled) || result.Done.Sub(result.Sent) != time.Second {
			t.Errorf("error %v after %v", err, result.Done.Sub(result.Sent))
		}
		close(release)
	})
}

// Nothing follows a request that was cut: the next one has a connection of its own.
func TestRequestThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, client.Options{}, func(p *peer) {
			_, _ = p.next()
			p.send(echoed)
			_, _ = p.conn.Read(make([]byte, 10))
			time.Sleep(3 * time.Second)
			p.drain() // would see what follows
		}, func(p *peer) { _, _ = p.next(); p.send(echoed); p.drain() })
		for i, want := range []error{nil, client.ErrTimeout, nil} {
			if _, err := c.Do(t.Context(), step(1, 2*time.Second)); !errors.Is(err, want) {
				t.Errorf("request %d: %v, want %v", i+1, err, want)
			}
		}
		time.Sleep(time.Minute) // until the first connection is over
	})
}

// An ended context sends nothing and asks for no connection.
func TestEndedContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, client.Options{OnSent: func(protocol.Request) { t.Error("sent") }}, (*peer).drain)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Do(ctx, step(1, time.Second)); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("enough")
		c, _ := dial(t, client.Options{}, (*peer).drain)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(why) })
		result, err := c.Exchange(ctx, step(1, time.Minute))
		if !errors.Is(err, why) || result.Done.Sub(result.Sent) != time.Second {
			t.Errorf("error %v after %v", err, result.Done.Sub(result.Sent))
		}
	})
}
