package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// An agent that has sent the req back and then does not is no longer believed.
func TestAgentThatStopsToEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := func(p *peer) {
			for {
				if _, ok := p.next(); !ok {
					return
				}
				p.send(bare)
			}
		}
		c, _ := dial(t, client.Options{}, func(p *peer) {
			_, _ = p.next()
			p.send(echoed)
			again(p)
		}, again)
		for i, want := range []error{nil, client.ErrWrongReply, nil} {
			if _, err := c.Do(t.Context(), step(1, time.Second)); !errors.Is(err, want) {
				t.Errorf("request %d: %v, want %v", i+1, err, want)
			}
		}
	})
}

// With an agent that does not send the req back, a connection is given up where the next
// reply could be mistaken.
func TestAgentThatDoesNotEcho(t *testing.T) {
	tests := []struct {
		name string
		// first is what the agent does with the first request, which is for step 1.
		first func(*peer)
		// next is the step of the second request.
		next   int64
		closed bool
	}{
		{"another step goes on", func(p *peer) { p.send(bare) }, 2, false},
		{"the same step", func(p *peer) { p.send(bare) }, 1, true},
		{"timed out", func(p *peer) { time.Sleep(6 * time.Second); p.send(bare) }, 2, true},
		{"unsolicited", func(p *peer) { p.send(bare); p.send(`{"step_id":2,"error_code":0}`) }, 2, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				connections := 0
				script := func(p *peer) {
					connections++
					number := connections
					for {
						r, ok := p.next()
						if !ok {
							return
						}
						if number == 1 && r.StepID == 1 {
							tt.first(p)
						} else {
							p.send(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, r.StepID))
						}
					}
				}
				c, _ := dial(t, client.Options{}, script, script)
				_, _ = c.Do(t.Context(), step(1, 5*time.Second))
				synctest.Wait()
				reply, err := c.Do(t.Context(), step(tt.next, 5*time.Second))
				if err != nil || *reply.StepID != tt.next {
					t.Errorf("reply %+v, error %v", reply, err)
				}
				if closed := connections == 2; closed != tt.closed {
					t.Errorf("%d connections", connections)
				}
				time.Sleep(time.Minute) // until the script of the first has come to its end
			})
		})
	}
}

// A request that is asked again under its own req may be answered by either reply.
func TestRetryUnderTheSameReq(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, strays := dial(t, client.Options{}, func(p *peer) {
			_, _ = p.next()
			p.send(echoed)
			_, _ = p.next()
			_, _ = p.next()
			p.send(echoed)
			p.send(echoed)
			p.drain()
		})
		if _, err := c.Do(t.Context(), step(1, time.Second)); err != nil {
			t.Fatal(err)
		}
		again := step(1, time.Second)
		again.Req = protocol.NumReq(7)
		if _, err := c.Do(t.Context(), again); !errors.Is(err, client.ErrTimeout) {
			t.Errorf("error %v, want a timeout", err)
		}
		if _, err := c.Do(t.Context(), again); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if kinds(*strays) != "duplicate" {
			t.Errorf("strays %+v", *strays)
		}
	})
}

// A connection remembers at most maxPast requests.
func TestWhatALongConnectionRemembers(t *testing.T) {
	const remembered = 128
	synctest.Test(t, func(t *testing.T) {
		c, strays := dial(t, client.Options{}, func(p *peer) {
			var replies []string
			for {
				if _, ok := p.next(); !ok {
					return
				}
				reply := strings.ReplaceAll(echoed, "$REQ", p.req)
				replies = append(replies, reply)
				p.send(reply)
				if len(replies) == remembered+1 {
					p.send(replies[0])
					p.send(replies[1])
				}
			}
		})
		for range remembered + 1 {
			if _, err := c.Do(t.Context(), step(1, time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if kinds(*strays) != "unsolicited duplicate" {
			t.Errorf("strays %s", kinds(*strays))
		}
	})
	// The step ids of an agent that does not send the req back are as many.
	synctest.Test(t, func(t *testing.T) {
		connections := 0
		script := func(p *peer) {
			connections++
			for {
				r, ok := p.next()
				if !ok {
					return
				}
				p.send(fmt.Sprintf(`{"step_id":%d,"error_code":0}`, r.StepID))
			}
		}
		c, _ := dial(t, client.Options{}, script, script)
		for id := range int64(remembered + 1) {
			if id == remembered && connections != 1 {
				t.Errorf("%d connections", connections)
			}
			if _, err := c.Do(t.Context(), step(id, time.Second)); err != nil {
				t.Fatal(err)
			}
		}
		if connections != 2 {
			t.Errorf("%d connections", connections)
		}
	})
}
