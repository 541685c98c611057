package stream

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/stepagent/stepagent/plugins/sdk"
)

const (
	// barePerSecond and bareBurst bound the bytes on a plugin's connection that belong to no message,
	// such as pings. A message is counted when it is decoded, so the burst has room for the longest one
	// and for the window before it.
	barePerSecond = 64 << 10
	bareBurst     = sdk.MaxMessageBytes + windowBytes + 1<<20
	// windowBytes is the flow-control window. One that gRPC chooses could exceed the burst.
	windowBytes = 512 << 10
	// messageFrames is more bytes than the frame heads and window updates of one message.
	messageFrames = 128
)

// errFlooded is why a stream is lost whose connection carries too many bytes of no message.
var errFlooded = errors.New("the plugin broke the contract: it floods the agent with frames that belong to no message")

// A meter finds floods of gRPC frames that are no messages: a frame costs gRPC as much as a message,
// and is not reported to its user. It is safe for concurrent use.
type meter struct {
	bare    *rate.Limiter
	useful  atomic.Int64 // bytes of messages, less those that read has counted as such
	flooded chan struct{}
	flood   sync.Once // closes flooded
}

func newMeter() *meter {
	return &meter{bare: rate.NewLimiter(barePerSecond, bareBurst), flooded: make(chan struct{})}
}

// message counts a message that was decoded.
func (m *meter) message(bytes int) { m.useful.Add(int64(bytes) + messageFrames) }

// read counts bytes that were read, fewer than bareBurst, and returns how long the next read must wait.
func (m *meter) read(bytes int) time.Duration {
	left := int64(bytes)
	for {
		useful := m.useful.Load()
		if m.useful.CompareAndSwap(useful, useful-min(useful, left)) {
			left -= min(useful, left)
			break
		}
	}
	if left == 0 {
		return 0
	}
	wait := m.bare.ReserveN(time.Now(), int(left)).Delay()
	if wait > 0 {
		m.flood.Do(func() { close(m.flooded) })
	}
	return wait
}

// A meteredConn is the agent's end of a connection. It reads a flood no faster than the meter allows.
type meteredConn struct {
	net.Conn
	meter   *meter
	closed  chan struct{}
	closing sync.Once // closes closed
}

func (m *meter) conn(c net.Conn) net.Conn {
	return &meteredConn{Conn: c, meter: m, closed: make(chan struct{})}
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if wait := c.meter.read(n); wait > 0 {
		select {
		case <-time.After(wait):
		case <-c.closed:
		}
	}
	return n, err
}

func (c *meteredConn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
