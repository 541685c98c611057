package client_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

// A dialFunc is a dialer for one address.
type dialFunc = func(context.Context, string, string) (net.Conn, error)

// route makes a dialer of those of the addresses a:1, b:1 and so on. The names of the addresses that are
// dialled are added to trail.
func route(trail *[]string, dials ...dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		name, _, _ := strings.Cut(address, ":")
		*trail = append(*trail, name)
		return dials[name[0]-'a'](ctx, network, address)
	}
}

// blackhole is a dialer for a host that is switched off.
func blackhole(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// expired is a dialer whose error is final.
func expired(context.Context, string, string) (net.Conn, error) { return nil, refusalError{} }

// fallbacks are the addresses after the first of n.
func fallbacks(n int) []string { return []string{"b:1", "c:1", "d:1"}[:n-1] }

// A request goes on at the next address when it gets no verdict at one.
func TestNextAddress(t *testing.T) {
	stopping := known(refuse(protocol.ShuttingDown), drained)
	passing := serving(pass, drained)
	tests := []struct {
		name     string
		dials    []dialFunc // the first is away from one second to another if it is nil
		retryFor time.Duration
		want     error
		sent     string // the addresses that the second request was sent to
		tried    string // the addresses without a verdict, with the cause
		least    time.Duration
		most     time.Duration
	}{
		{"the first answers", []dialFunc{dialer(known(pass, drained)), dialer()}, 0, nil, "a", "", 0, 0},
		{"the first cannot be reached at all", []dialFunc{dialer(), dialer(known(pass, drained))}, 0, nil, "b", "", 0, 0},
		{"only the last can be reached", []dialFunc{dialer(), dialer(), dialer(known(pass, drained))}, 0, nil, "c", "", 0, 0},
		{"lost", []dialFunc{dialer(known(ignore)), dialer(passing)}, 0, nil, "a b", "a lost", 0, 0},
		{"lost before it", []dialFunc{dialer(known()), dialer(passing)}, 0, nil, "b", "a lost", 0, 0},
		{"lost, and the next cannot be reached", []dialFunc{dialer(known(ignore)), dialer(), dialer(passing)}, 0, nil, "a c", "a lost b unreachable", 0, 0},
		{"lost everywhere once", []dialFunc{dialer(known(ignore), passing), dialer(lostAtOnce)}, 0, nil, "a b a", "a lost b lost",
			25 * time.Millisecond, 50 * time.Millisecond},
		{"stops", []dialFunc{dialer(stopping), dialer(passing)}, 0, nil, "a b", "a shutting_down", 0, 0},
		{"busy", []dialFunc{dialer(known(refuse(protocol.Busy), drained)), dialer(passing)}, 0, nil, "a b", "a busy", 0, 0},
		{"no validator", []dialFunc{dialer(known(refuse(protocol.ValidatorUnavailable), drained)), dialer(passing)}, 0, nil, "a b", "a validator_unavailable", 0, 0},
		{"away, and the first is back", []dialFunc{nil, dialer()}, 0, nil, "a a",
			"a lost b unreachable a unreachable", 3 * time.Second, 4 * time.Second},
		{"silent", []dialFunc{dialer(known(ignore2)), dialer(passing)}, 0, client.ErrTimeout, "a", "", 0, 0},
		{"gone for good", []dialFunc{dialer(known(ignore)), dialer()}, 5 * time.Second, client.ErrConnectionLost, "a", "a lost b unreachable a unreachable",
			4 * time.Second, 5 * time.Second},
		{"not to be tried again", []dialFunc{dialer(known(), passing), dialer(passing)}, -1, nil, "a", "", 0, 0},
		{"not to be tried again, and gone", []dialFunc{dialer(known()), dialer(passing)}, -1, client.ErrUnreachable, "", "", 0, 0},
		{"not to be tried again, at the second", []dialFunc{dialer(), dialer(known(), passing)}, -1, nil, "b", "", 0, 0},
		{"refused for good by the first", []dialFunc{expired, dialer(known(pass, drained))}, 0, nil, "b", "", 0, 0},
		{"refused for good by the next", []dialFunc{dialer(known(ignore)), expired, dialer(passing)}, 0, nil, "a c", "a lost b unreachable", 0, 0},
		{"switched off", []dialFunc{dialer(known(ignore)), blackhole, dialer(passing)}, 0, nil, "a c", "a lost b unreachable", 5 * time.Second, 5 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tt.dials[0] == nil {
					tt.dials[0] = away(time.Nanosecond, 4*time.Second, known(ignore), passing)
				}
				got := secondAt(t, tt.retryFor, tt.dials...)
				if !errors.Is(got.err, tt.want) || (tt.want == nil) != (got.err == nil) {
					t.Errorf("error %v, want %v", got.err, tt.want)
				}
				if got.sent != tt.sent || got.tried != tt.tried {
					t.Errorf("sent to %q after %q, want %q after %q", got.sent, got.tried, tt.sent, tt.tried)
				}
				if got.Away < tt.least || got.Away > tt.most {
					t.Errorf("away for %v, want %v to %v", got.Away, tt.least, tt.most)
				}
				if fields := strings.Fields(got.sent); len(fields) > 0 && got.Address != fields[len(fields)-1]+":1" || len(fields) == 0 && got.Address != "" {
					t.Errorf("the result has the address %q", got.Address)
				}
			})
		})
	}
}

// ignore2 reads a request, and keeps the connection open without a reply.
func ignore2(p *peer) { _, _ = p.next(); p.drain() }

// A routed is the outcome of the second of two requests of a Client with several addresses.
type routed struct {
	client.Result
	err error
	// sent are the addresses that it was sent to. tried are those that gave no verdict, with the causes,
	// and repetitions of a round once.
	sent, tried string
}

// secondAt sends two requests to addresses with the dialers, and returns the outcome of the second. The
// steps are a second apart, and have 20 seconds.
func secondAt(t *testing.T, retryFor time.Duration, dials ...dialFunc) (r routed) {
	t.Helper()
	var dialled, sent, tried []string
	var c *client.Client
	opts := client.Options{RetryFor: retryFor, Dial: route(&dialled, dials...), Fallbacks: fallbacks(len(dials))}
	opts.OnSent = func(protocol.Request) { sent = append(sent, strings.TrimSuffix(c.Address(), ":1")) }
	opts.OnRetry = func(again client.Retry) {
		if pair := strings.TrimSuffix(again.Address, ":1") + " " + string(again.Cause); !strings.Contains(strings.Join(tried, " "), pair) {
			tried = append(tried, pair)
		}
	}
	c, err := client.Dial(t.Context(), "a:1", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	sent, tried = nil, nil
	r.Result, r.err = c.Exchange(t.Context(), inSession(step(1, 20*time.Second)))
	r.sent, r.tried = strings.Join(sent, " "), strings.Join(tried, " ")
	return r
}

// The error of Dial names each address, and matches the cause after which trying again may help.
func TestNoAddressAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trail []string
		_, err := client.Dial(t.Context(), "a:1", client.Options{Dial: route(&trail, expired, dialer(), blackhole), Fallbacks: fallbacks(3)})
		const want = "the agent cannot be reached: a:1: the certificate has expired; b:1: connection refused; c:1: context deadline exceeded"
		if err == nil || err.Error() != want || !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, errRefused) || errors.Is(err, refusalError{}) {
			t.Errorf("error %v, want %s", err, want)
		}
		if _, err = client.Dial(t.Context(), "a:1", client.Options{Dial: route(&trail, expired, expired), Fallbacks: fallbacks(2)}); !errors.Is(err, refusalError{}) {
			t.Errorf("error %v", err)
		}
		if got := strings.Join(trail, " "); got != "a b c a b" {
			t.Errorf("dialled %s", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = client.Dial(ctx, "a:1", client.Options{Dial: route(&trail, blackhole, dialer()), Fallbacks: fallbacks(2)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// A request that was refused for good at each address in turn is not tried again.
func TestRefusedForGoodEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, served := dialer(known(ignore)), false
		once := func(ctx context.Context, network, address string) (net.Conn, error) {
			if served {
				return nil, refusalError{}
			}
			served = true
			return first(ctx, network, address)
		}
		began := time.Now()
		got := secondAt(t, 0, once, expired)
		if !errors.Is(got.err, refusalError{}) || time.Since(began) > 2*time.Second {
			t.Errorf("error %v after %v", got.err, time.Since(began))
		}
	})
}

// Hosts that are switched off take no more than their share of the time that a request has.
func TestShareOfTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trail []string
		c, err := client.Dial(t.Context(), "a:1", client.Options{Fallbacks: fallbacks(4),
			Dial: route(&trail, dialer(known(ignore)), blackhole, blackhole, dialer(serving(pass, drained)))})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := c.Do(t.Context(), step(1, time.Minute)); err != nil {
			t.Fatal(err)
		}
		result, err := c.Exchange(t.Context(), inSession(step(1, 3*time.Second)))
		if took := result.Done.Sub(result.Sent); err != nil || took != 2*time.Second || result.Address != "d:1" {
			t.Errorf("at %s after %v, error %v", result.Address, took, err)
		}
	})
}
