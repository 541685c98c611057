package pluginhost

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
	// barePerSecond and bareBurst bound the bytes on a plugin's gRPC connection that belong to no
	// message, such as pings. Messages are counted when they are taken, so the longest one and what the
	// window lets come before that fit into a burst.
	barePerSecond = 64 << 10
	bareBurst     = sdk.MaxMessageBytes + windowBytes + 1<<20
	// windowBytes is how much of a stream comes before it is taken, but for the message at hand. One
	// that gRPC chooses itself could become larger than the burst.
	windowBytes = 512 << 10
	// messageFrames is more bytes than what comes with a message: the heads of frames, and the
	// windows of the flow control.
	messageFrames = 128
)

// errFlooded is why a link is lost whose connection has too much on it that is no message.
var errFlooded = errors.New("the plugin broke the contract: it floods the agent with frames that belong to no message")

// A meter tells the bytes on a gRPC connection that are of use from a flood of those that are not:
// a frame takes gRPC as long as a message, and nobody is told of it. It is safe for concurrent use.
type meter struct {
	bare    *rate.Limiter
	useful  atomic.Int64 // bytes of messages that are still to be set off against those that were read
	flooded chan struct{}
	flood   sync.Once // closes flooded
}

func newMeter() *meter {
	return &meter{bare: rate.NewLimiter(barePerSecond, bareBurst), flooded: make(chan struct{})}
}

// message notes that a message of so many bytes has come.
func (m *meter) message(bytes int) { m.useful.Add(int64(bytes) + messageFrames) }

// read notes that so many bytes have come, fewer than bareBurst, and returns how long the next ones
// are to wait.
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

// A meteredConn is the agent's end of a gRPC connection. Of a flood it reads no more than it must.
type meteredConn struct {
	net.Conn
	meter  *meter
	closed chan struct{}
	close  func() error
}

func (m *meter) conn(c net.Conn) net.Conn {
	closed := make(chan struct{})
	return &meteredConn{Conn: c, meter: m, closed: closed, close: sync.OnceValue(func() error {
		close(closed)
		return c.Close()
	})}
}

// Read implements net.Conn.
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

// Close implements net.Conn.
func (c *meteredConn) Close() error { return c.close() }
