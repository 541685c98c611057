package load

import (
	"errors"
	"fmt"
	"time"
)

// Limits of a load.
const (
	// MaxClients is the largest number of clients: more than one address can have
	// connections to one port, ip(7).
	MaxClients = 64000
	// DefaultWait is how long a reply or a connection is waited for, unless set otherwise.
	DefaultWait = 10 * time.Second
	// maxDialing is how many connections are being made at the same time before the start, so
	// that no agent's queue of new connections overflows, listen(2).
	maxDialing = 128
)

// Reconnect says when a client makes a new connection.
type Reconnect uint8

// The choices. The zero value keeps a connection for as long as it lasts.
const (
	// Never keeps one connection for all sessions.
	Never Reconnect = iota
	// EachSession makes a connection for each session.
	EachSession
	// EachStep makes a connection for each step, which names its session.
	EachStep
)

// Options say what load there is to be.
type Options struct {
	// Address is the agent's, as host:port.
	Address string
	// Clients is how many clients there are, 1 to MaxClients.
	Clients int
	// Duration is how long steps are sent. Replies to the last of them are waited for.
	Duration time.Duration
	// Rate is how many steps are to be sent in a second, by all clients together; 0 for a
	// closed loop.
	Rate float64
	// Reconnect says when a client makes a new connection.
	Reconnect Reconnect
	// Wait bounds the wait for a reply and for a connection; 0 means DefaultWait.
	Wait time.Duration
	// Plan is what the clients say and what must come back.
	Plan Plan
	// Progress, when not nil, is called every ProgressInterval with the result so far, by one
	// goroutine at a time.
	Progress         func(Result)
	ProgressInterval time.Duration
}

// Check says what is wrong with the options.
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
