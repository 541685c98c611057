package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

// Limits of a load.
const (
	// MaxClients is the largest number of clients. It is more than the local ports that one address
	// has for connections to one port, see ip(7).
	MaxClients = 64000
	// DefaultWait is the default of Options.Wait.
	DefaultWait = 10 * time.Second
	// maxDialing bounds the connections being made at once before the start, so that the agent's
	// backlog does not overflow, see listen(2).
	maxDialing = 128
)

// Reconnect says when a client makes a new connection.
type Reconnect uint8

// The choices.
const (
	Never       Reconnect = iota // one connection for all sessions
	EachSession                  // a connection for each session
	EachStep                     // a connection for each step, which names its session
)

// Options are the options of a load.
type Options struct {
	// Address is the agent's, as host:port.
	Address string
	// Clients is how many clients there are, 1 to MaxClients.
	Clients int
	// Duration is how long steps are sent.
	Duration time.Duration
	// Rate is how many steps all clients together send per second; 0 for a closed loop.
	Rate      float64
	Reconnect Reconnect
	// Wait bounds the wait for a reply and for a connection; 0 means DefaultWait.
	Wait time.Duration
	// TLS secures the connections, see tlsdial.Dialer; nil for plain TCP.
	TLS *tls.Config
	// Plan has the requests and the expected replies.
	Plan Plan
	// Progress, if not nil, is called every ProgressInterval with the result so far, by one
	// goroutine at a time.
	Progress         func(Result)
	ProgressInterval time.Duration
}

// Check validates the options.
func (o Options) Check() error {
	switch {
	case o.Clients < 1 || o.Clients > MaxClients:
		return fmt.Errorf("the number of clients is 1 to %d, not %d", MaxClients, o.Clients)
	case o.Duration <= 0:
		return errors.New("the duration must be above 0")
	case !(o.Rate >= 0) || o.Rate > float64(time.Second):
		return errors.New("the rate is a number of steps a second, 0 or more and at most a thousand million")
	case o.Plan == nil:
		return errors.New("there is no plan")
	}
	return nil
}
