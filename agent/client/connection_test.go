package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepagent/stepagent/agent/client"
	"github.com/stepagent/stepagent/agent/protocol"
)

func TestLostConnectionIsMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, client.Options{},
			func(p *peer) { _, _ = p.next() }, // closes in the middle
			func(p *peer) {
				_, _ = p.next()
				p.send(echoed)
				time.Sleep(time.Second) // closes between requests
			},
			func(p *peer) { _, _ = p.next(); p.send(echoed); p.drain() })
		_, err := c.Do(t.Context(), step(1, time.Second))
		if !errors.Is(err, client.ErrConnectionLost) || !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want a lost connection because of the agent", err)
		}
		if _, err = c.Do(t.Context(), step(1, time.Second)); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if _, err = c.Do(t.Context(), step(1, time.Second)); err != nil {
			t.Error(err)
		}
	})
}

func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, err := client.Dial(t.Context(), "agent:8080", client.Options{Dial: dialer()})
		if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, errRefused) {
			t.Errorf("error %v", err)
		}
		sent := false
		c, _ := dial(t, client.Options{OnSent: func(protocol.Request) { sent = true }}, func(*peer) {})
		synctest.Wait()
		_, err = c.Do(t.Context(), step(1, time.Second))
		if !errors.Is(err, client.ErrUnreachable) || sent {
			t.Errorf("error %v, sent %t", err, sent)
		}
	})
}

func TestDialTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := client.Dial(t.Context(), "agent:8080", client.Options{
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
		if !errors.Is(err, client.ErrUnreachable) || time.Since(began) != client.DefaultDialTimeout {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
	})
}

func TestCloseEndsARequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := dial(t, client.Options{}, (*peer).drain)
		errs := make(chan error)
		go func() {
			_, err := c.Do(t.Context(), step(1, time.Minute))
			errs <- err
		}()
		synctest.Wait()
		_ = c.Close()
		if err := <-errs; !errors.Is(err, client.ErrConnectionLost) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v", err)
		}
		if _, err := c.Do(t.Context(), step(1, time.Minute)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		_ = c.Close()
	})
}

// A connection that is made when the client is closed already is closed, too.
func TestCloseWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		agents := dialer(func(*peer) {}, (*peer).drain)
		slow := time.Duration(0)
		c, err := client.Dial(t.Context(), "agent:8080", client.Options{
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				time.Sleep(slow)
				return agents(ctx, network, address)
			}})
		if err != nil {
			t.Fatal(err)
		}
		slow = time.Second
		synctest.Wait()
		errs := make(chan error)
		go func() {
			_, err := c.Do(t.Context(), step(1, time.Minute))
			errs <- err
		}()
		synctest.Wait()
		_ = c.Close()
		if err := <-errs; !errors.Is(err, net.ErrClosed) {
			t.Errorf("error %v", err)
		}
	})
}
