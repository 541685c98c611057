package worker

import (
	"context"
	"net"
)

// dial connects to a board for a job.
func (l *lease) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &leasedConn{conn, l}, nil
}

// A leasedConn is a connection that sends only while its lease lasts.
type leasedConn struct {
	net.Conn
	lease *lease
}

// Write writes, unless the lease is lost.
func (c *leasedConn) Write(p []byte) (int, error) {
	if err := c.lease.check(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
