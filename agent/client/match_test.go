package client_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
)

// What an agent may answer to the first request, which is for step 1, and what Do must make
// of it. Nothing else comes for it, except where the row says so.
func TestAnswersToOneRequest(t *testing.T) {
	const ok, refused = "ok", "refused"
	tests := []struct {
		name, reply string
		// want is ok, refused, or the error.
		want any
		// strays are the kinds of what came besides.
		strays string
		// closed: the connection is closed afterwards.
		closed bool
	}{
		{"its own", echoed, ok, "", false},
		{"refusal", `{"step_id":1,"error_code":1,"req":$REQ,"reason":"out_of_order"}`, refused, "", false},
		{"refusal with a negative code", `{"step_id":1,"error_code":-1,"req":$REQ}`, refused, "", false},
		{"no req", bare, ok, "", false},
		{"refusal without req", `{"step_id":1,"error_code":1}`, refused, "", false},
		{"req of another type", `{"step_id":1,"error_code":0,"req":7}`, client.ErrTimeout, "unsolicited", true},
		{"wrong req", `{"step_id":1,"error_code":0,"req":"other"}`, client.ErrTimeout, "unsolicited", true},
		{"wrong req, then its own", `{"step_id":1,"error_code":0,"req":"other"}` + echoed, ok, "unsolicited", false},
		{"another step", `{"step_id":2,"error_code":0,"req":$REQ}`, client.ErrWrongReply, "", false},
		{"refusal of another step", `{"step_id":2,"error_code":1,"req":$REQ}`, client.ErrWrongReply, "", false},
		{"another step, no req", `{"step_id":2,"error_code":0}`, client.ErrWrongReply, "", true},
		{"another session", `{"step_id":1,"error_code":0,"req":$REQ,"session":"b"}`, client.ErrWrongReply, "", false},
		{"the same session", `{"step_id":1,"error_code":0,"req":$REQ,"session":"a"}`, ok, "", false},
		{"code 0, no step", `{"step_id":null,"error_code":0,"req":$REQ}`, client.ErrWrongReply, "", false},
		{"code 0, no step, no req", `{"step_id":null,"error_code":0}`, client.ErrWrongReply, "", true},
		{"busy", `{"step_id":null,"error_code":1,"reason":"busy"}`, refused, "", true},
		{"refusal of another session", `{"step_id":null,"error_code":1,"session":"b"}`, client.ErrWrongReply, "", true},
		{"refusal of the same session", `{"step_id":null,"error_code":1,"session":"a"}`, refused, "", true},
		{"bad message", `{"step_id":null,"error_code":1,"reason":"bad_message"}`, refused, "", true},
		{"shutting down, with req", `{"step_id":null,"error_code":1,"req":$REQ,"reason":"shutting_down"}`, refused, "", false},
		{"twice", echoed + echoed, ok, "duplicate", false},
		{"twice, no req", bare + bare, ok, "unsolicited", true},
		{"twice, another step the second time", echoed + `{"step_id":2,"error_code":0,"req":$REQ}`, ok, "duplicate", false},
		{"wrong, then right", `{"step_id":2,"error_code":0,"req":$REQ}` + echoed, client.ErrWrongReply, "duplicate", false},
		{"its own, then a nameless one", echoed + bare, ok, "unsolicited", false},
		{"no req, then an unknown one", bare + `{"step_id":2,"error_code":0,"req":7}`, ok, "unsolicited", true},
		{"no JSON", "SSH-2.0-OpenSSH_9.6\r\n", client.ErrWrongReply, "", true},
		{"an array", "[]", client.ErrWrongReply, "", true},
		{"no code", `{"step_id":1,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"no step", `{"error_code":0,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"code null", `{"step_id":1,"error_code":null,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"code a fraction", `{"step_id":1,"error_code":0.0,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"code twice", `{"step_id":1,"error_code":1,"error_code":0,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"step too large", `{"step_id":18446744073709551617,"error_code":0,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"names in capitals", `{"STEP_ID":1,"ERROR_CODE":0,"req":$REQ}`, client.ErrWrongReply, "", true},
		{"too long", `{"step_id":1,"error_code":0,"detail":"` + strings.Repeat("x", 5000) + `"}`, client.ErrWrongReply, "", true},
		{"its own, then garbage", echoed + "nonsense", ok, "garbage", true},
		{"half of one", `{"step_id":1,"error`, client.ErrTimeout, "", true},
		{"nothing", ``, client.ErrTimeout, "", true},
		{"byte by byte", "", ok, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hungUp := false
				c, strays := dial(t, client.Options{}, func(p *peer) {
					_, _ = p.next()
					if tt.name == "byte by byte" {
						for _, b := range []byte(strings.ReplaceAll(echoed, "$REQ", p.req)) {
							p.send(string(b))
						}
					}
					p.send(tt.reply)
					p.drain()
					hungUp = true
				})
				request := step(1, 5*time.Second)
				request.Session = "a"
				reply, err := c.Do(t.Context(), request)
				synctest.Wait()
				switch want := tt.want.(type) {
				case error:
					if !errors.Is(err, want) || reply.OK() {
						t.Errorf("reply %+v, error %v, want %v", reply, err, want)
					}
				default:
					if err != nil || reply.OK() != (want == ok) {
						t.Errorf("reply %+v, error %v, want %v", reply, err, want)
					}
				}
				if got := kinds(*strays); got != tt.strays {
					t.Errorf("strays %q, want %q", got, tt.strays)
				}
				if hungUp != tt.closed {
					t.Errorf("closed = %t", hungUp)
				}
			})
		})
	}
}

func kinds(strays []client.Stray) string {
	var names []string
	for _, s := range strays {
		names = append(names, s.Kind.String())
	}
	return strings.Join(names, " ")
}

// A wrong reply is told with what came.
func TestWrongReplyTellsWhatCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, client.Options{},
			func(p *peer) { _, _ = p.next(); p.send(`{"step_id":2,"error_code":0}`); p.drain() },
			func(p *peer) { _, _ = p.next(); p.send(`{"step_id":"one","error_code":0}`); p.drain() })
		_, err := c.Do(t.Context(), step(1, time.Second))
		var wrong *client.WrongReplyError
		if !errors.As(err, &wrong) || wrong.Reply == nil || *wrong.Reply.StepID != 2 {
			t.Errorf("error %#v", err)
		}
		_, err = c.Do(t.Context(), step(1, time.Second))
		if !errors.As(err, &wrong) || wrong.Reply != nil || !strings.Contains(wrong.Problem, `\"one\"`) {
			t.Errorf("error %#v", err)
		}
	})
}

// What comes before the first request answers nothing, except that an agent may refuse the
// connection.
func TestAgentThatSpeaksFirst(t *testing.T) {
	good := func(p *peer) { _, _ = p.next(); p.send(echoed); p.drain() }
	tests := []struct {
		name, first string
		want        error
		code        int
		strays      string
	}{
		{"refusal", `{"step_id":null,"error_code":1,"reason":"busy"}`, nil, 1, ""},
		{"refusal of another session", `{"step_id":null,"error_code":1,"session":"b"}`, client.ErrWrongReply, 1, ""},
		{"refusal of a req", `{"step_id":null,"error_code":1,"req":"x"}`, nil, 0, "unsolicited"},
		{"pass", bare, nil, 0, "unsolicited"},
		{"pass without a step", `{"step_id":null,"error_code":0}`, nil, 0, "unsolicited"},
		{"banner", "220 mail.example.org\r\n", nil, 0, "garbage"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, strays := dial(t, client.Options{}, func(p *peer) { p.send(tt.first); p.drain() }, good)
				synctest.Wait()
				asked := step(1, time.Second)
				asked.Session = "a"
				reply, err := c.Do(t.Context(), asked)
				if !errors.Is(err, tt.want) || reply.ErrorCode != tt.code || kinds(*strays) != tt.strays {
					t.Errorf("reply %+v, error %v, strays %+v", reply, err, *strays)
				}
				// The next request has a connection that serves it.
				if _, err := c.Do(t.Context(), step(1, time.Second)); tt.code != 0 && err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A refusal that came first has no time to wait for either: with no timeout it is too late.
func TestAgentThatRefusesFirstAndTimeoutOfZero(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, client.Options{}, func(p *peer) { p.send(`{"step_id":null,"error_code":1}`); p.drain() })
		synctest.Wait()
		if _, err := c.Do(t.Context(), step(1, 0)); !errors.Is(err, client.ErrTimeout) {
			t.Errorf("error %v, want a timeout", err)
		}
	})
}

// The reply to a request that timed out comes while the next one, for the same step, waits.
func TestLateReplyIsNotCredited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, strays := dial(t, client.Options{}, func(p *peer) {
			_, _ = p.next()
			p.send(echoed)
			_, _ = p.next()
			late := strings.ReplaceAll(echoed, "$REQ", p.req)
			_, _ = p.next()
			p.send(late)
			p.send(late)
			p.send(`{"step_id":1,"error_code":1,"req":$REQ}`)
			p.drain()
		})
		for i, want := range []error{nil, client.ErrTimeout, nil} {
			reply, err := c.Do(t.Context(), step(1, time.Second))
			if !errors.Is(err, want) || reply.OK() != (i == 0) {
				t.Errorf("request %d: reply %+v, error %v, want %v", i+1, reply, err, want)
			}
		}
		if kinds(*strays) != "late duplicate" {
			t.Errorf("strays %+v", *strays)
		}
	})
}

// A refusal that names nothing may be meant for the request that timed out before.
func TestNamelessRefusalWhileTwoAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, strays := dial(t, client.Options{}, func(p *peer) {
			_, _ = p.next()
			p.send(echoed)
			_, _ = p.next() // not answered
			_, _ = p.next()
			p.send(`{"step_id":null,"error_code":1,"reason":"busy"}`)
			p.send(echoed)
			p.drain()
		})
		for i, want := range []error{nil, client.ErrTimeout, nil} {
			if reply, err := c.Do(t.Context(), step(1, time.Second)); !errors.Is(err, want) || reply.OK() != (err == nil) {
				t.Errorf("request %d: reply %+v, error %v, want %v", i+1, reply, err, want)
			}
		}
		if kinds(*strays) != "unsolicited" {
			t.Errorf("strays %+v", *strays)
		}
	})
}
