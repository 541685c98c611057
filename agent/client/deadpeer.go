package client

import (
	"net"
	"time"
)

// With several addresses a connection counts as lost when the other host is silent for lostAfter, so that a
// request goes on at the next address soon after a host has lost its power or the network was cut. A host
// acknowledges what it gets even if the agent does not answer. Without this it would take TCP 15 minutes, see
// tcp_retries2 in tcp(7), and up to 2.5 minutes on an idle connection.
const (
	lostAfter     = 5 * time.Second
	probeAfter    = 2 * time.Second // of an idle connection
	probeInterval = time.Second
)

// noticeDeadPeer has the kernel do this for a connection over TCP.
func noticeDeadPeer(socket net.Conn) {
	for {
		over, ok := socket.(interface{ NetConn() net.Conn }) // TLS and others
		if !ok {
			break
		}
		socket = over.NetConn()
	}
	tcp, ok := socket.(*net.TCPConn)
	if !ok {
		return
	}
	// A failure means a closed socket, which the first request finds.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeInterval,
		Count: int((lostAfter - probeAfter) / probeInterval)})
	setUserTimeout(tcp, lostAfter)
}
